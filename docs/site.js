// Wide tables and long lines of code can be scrolled by the keyboard in every browser, and the search has a name. The theme
// wraps tables when it starts, so this comes after it.
addEventListener("load", () =>
  requestAnimationFrame(() => {
    for (const each of document.querySelectorAll(".md-typeset__scrollwrap, .md-typeset pre > code, .highlight-ipynb")) {
      if (each.scrollWidth > each.clientWidth) each.tabIndex = 0;
    }
    document.querySelector(".md-search")?.setAttribute("aria-label", "Search");
  }),
);
