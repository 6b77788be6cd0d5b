"""The music domain: 38 events, folk tunes, the nine rules of music theory and the measures of Table 1."""
