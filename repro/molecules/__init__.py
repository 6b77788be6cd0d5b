"""The molecule domain: SMILES tokens, RDKit's scores, two rewards and the measures of Table 2."""
