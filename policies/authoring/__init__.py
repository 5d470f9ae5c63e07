"""How checks are written: `checks` makes policies of functions, `resources` is what these see, `drafts` what they mend,
`references` where their rules come from; the rest are readers that several themes share."""
