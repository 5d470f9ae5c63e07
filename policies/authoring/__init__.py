"""How checks are written: `theme` marks functions as checks, `checks` makes policies of them, `resources` is what they see, `drafts`
what they mend, `references` where their rules come from; the rest are readers that several themes share."""
