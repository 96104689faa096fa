"""Production monitoring for Django: one definition, many derivations, a proof."""
