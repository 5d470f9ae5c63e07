"""What strangers write to be made something of, and what GitHub makes of a comment."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

from markdown_it import MarkdownIt

NASTY = [
    "@user", "@org/team", "(@user)", "a @user, b", "@user\n@other", "mail@example.com", "`@user", "``@user`", "\\@user", "&#64;user",
    "#1", "closes #1", "owner/repo#1", "GH-1", "fixes owner/repo#12.", "\\#1", "&#35;1", "user@6dcb09b5b57875f334f61aebed695e2e4193db5e",
    "6dcb09b5b57875f334f61aebed695e2e4193db5e", "6dcb09b",
    "https://evil.example/x", "http://evil.example", "www.evil.example", "ftp://evil.example", "<https://evil.example>", "mailto:a@evil.example",
    "[x](https://evil.example)", "[x][r]\n\n[r]: https://evil.example", "![x](https://evil.example/p.png)", "[x](//evil.example)",
    "[run](javascript:alert(1))", "<img src=https://evil.example/p.png>", "<a href='https://evil.example'>x</a>", "<script>alert(1)</script>",
    "<svg onload=alert(1)>", "</details></summary></code></pre><img src=//evil.example>", "<!-- -->", "--><img src=//evil.example><!--",
    "<!-- model-factory preview: model-factory/prod -->", "\n<!-- run: https://evil.example/1 abc 2026-01-01 -->",
    "a\n\n# heading", "\n\n---\n\n### ✅ `p/dev`: nothing changes", "a | b | ![x](https://evil.example)", "|a|\n|-|\n|![x](//evil.example)|",
    "\n```\n![x](https://evil.example)\n@user", "~~~\n@user", "- [ ] task", "> [!CAUTION]\n> @user", "1. @user", "$`\\href{https://evil.example}{x}`$",
    "$$\\href{https://evil.example}{x}$$", "*x*", "**x**", "~~x~~", "x\r\n\r\n@user", "x\x85\x85@user", "x\u2028\u2028@user", "[^1]\n\n[^1]: @user",
    "\u202e@user", "@\u200buser", "\x1b[31m@user", "  \n    @user", "\t@user", "\\", "`", "'\"><img src=//evil.example>", "&lt;img src=x&gt;",
]  # fmt: skip

_TAGS = frozenset(
    [*("h3", "h4", "p", "ul", "ol", "li", "strong", "br", "code", "pre", "table", "thead", "tbody", "tr", "th", "td"),
     *("details", "summary", "b", "sub", "div", "blockquote", "hr", "a")]
)  # fmt: skip
# docs.github.com/en/get-started/writing-on-github/working-with-advanced-formatting/autolinked-references-and-urls; the mention as
# gjtorikian/html-pipeline finds it.
_ACTS = re.compile(
    r"(?:^|\W)@[a-z0-9]|(?:^|[^\w&])[\w/.-]*#\d|\bgh-\d|://|\bwww\.|\bmailto:|(?<![0-9a-z])[0-9a-f]{7,40}(?![0-9a-z])|\$(?!\d|\s|/month|/hour)",
    re.IGNORECASE,
)
_MENTION = re.compile(r"(?<!\w)@[A-Za-z0-9]")


@dataclass
class _Page(HTMLParser):
    """What stands where: tags, links, texts outside code and links."""

    tags: set[str] = field(default_factory=set)
    links: set[str] = field(default_factory=set)
    attributes: set[str] = field(default_factory=set)
    texts: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.hidden: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in {"br", "hr", "img"}:
            self.open.append(tag)
        for name, value in attrs:
            self.attributes.add(name)
            if name in {"href", "src"}:
                self.links.add(value or "")

    def handle_endtag(self, tag: str) -> None:
        if tag in self.open:
            while self.open.pop() != tag:
                pass

    def handle_comment(self, data: str) -> None:
        self.hidden.append(data.strip())

    def handle_data(self, data: str) -> None:
        if not {"code", "pre", "a"} & set(self.open):
            self.texts.append(data)


def faults(comment: str, *links: str, hidden: int = 1) -> list[str]:
    """What a reader of a comment on GitHub would be led to, shown or notified of, but for `links` and what we write ourselves.

    `hidden` comments are ours.
    """
    page = _Page()
    page.feed(MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(comment))
    page.close()
    texts = [text for text in page.texts if _ACTS.search(text)]
    return [
        *(f"tag {tag}" for tag in page.tags - _TAGS),
        *(f"link {link}" for link in page.links - set(links)),
        *(f"attribute {name}" for name in page.attributes - {"href", "class", "style"}),
        *(f"text {text!r}" for text in texts),
        *(f"hidden {text!r}" for text in page.hidden[hidden:]),
        *(f"mention in plain text: {found[0]}" for found in _MENTION.finditer(comment)),
    ]
