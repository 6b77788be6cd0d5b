"""A headless Chromium, driven through its DevTools protocol: pages, JavaScript, screenshots, what went wrong."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import websocket

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--remote-debugging-port=0",
    "--remote-allow-origins=*", "--window-size=1280,900",
)  # fmt: skip
COMPLAINTS = ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Network.loadingFailed")
PATIENCE = 240  # seconds that anything may take: two slow cores may be busy with other tests


def need_chromium() -> None:
    """Skips the test where there is no browser; fails where there has to be one."""
    if CHROMIUM is None and os.environ.get("CI") != "true":
        pytest.skip("there is no chromium here: install it, for instance with apt-get install chromium")
    assert CHROMIUM is not None, "CI=true, and there is no chromium: .ci/run has to install it"


class Browser:
    """One page of a Chromium with a profile of its own.

    Args:
        profile: an empty folder, for the profile.
    """

    session: str | None = None

    def __init__(self, profile: Path) -> None:
        need_chromium()
        self.process = subprocess.Popen(
            [str(CHROMIUM), *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.events: list[dict[str, Any]] = []
        self.sent = 0
        try:
            self.socket = websocket.create_connection(self._address(profile / "DevToolsActivePort"), timeout=PATIENCE)
            target = self.call("Target.createTarget", url="about:blank")["targetId"]
            self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Log", "Runtime", "Network", "Page"):
                self.call(f"{domain}.enable")
        except BaseException:
            self.close()
            raise

    def _address(self, told: Path) -> str:
        ended = time.monotonic() + PATIENCE
        while time.monotonic() < ended and self.process.poll() is None:
            if told.exists() and len(lines := told.read_text().split()) == 2:
                return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
            time.sleep(0.1)
        raise TimeoutError(f"the browser did not start within {PATIENCE} seconds")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Sends a command and returns its result; events that come first are kept."""
        self.sent += 1
        message = {"id": self.sent, "method": method, "params": parameters}
        self.socket.send(json.dumps(message | ({"sessionId": self.session} if self.session else {})))
        while True:
            answer = json.loads(self.socket.recv())
            if answer.get("id") == self.sent:
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append(answer)

    def open(self, address: str) -> None:
        """Goes to an address and waits until the page is loaded."""
        self.events.clear()
        self.call("Page.navigate", url=address)
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self.events.append(json.loads(self.socket.recv()))

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page."""
        told = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    def wait(self, expression: str, what: str, seconds: float = PATIENCE) -> None:
        """Waits until a JavaScript expression is true; raises TimeoutError with `what` was waited for."""
        ended = time.monotonic() + seconds
        while not self.evaluate(f"!!({expression})"):
            if time.monotonic() > ended:
                raise TimeoutError(f"{what}: not within {seconds} seconds")
            time.sleep(0.2)

    def screenshot(self, path: Path) -> None:
        """Writes what the window shows as a PNG file."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))

    def complaints(self) -> list[str]:
        """What the browser complained of since the page was opened: console, exceptions, requests that failed."""
        return [event["method"] for event in self.events if event["method"] in COMPLAINTS]

    def requests(self) -> list[str]:
        """The addresses asked for since the page was opened."""
        asked = [event for event in self.events if event["method"] == "Network.requestWillBeSent"]
        return [event["params"]["request"]["url"] for event in asked]

    def close(self) -> None:
        """Ends the browser that was started here."""
        self.process.terminate()
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
