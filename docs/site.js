// Wide tables can be scrolled by the keyboard in every browser, and the search has a name. (The theme does the same for
// code, when it comes into view.)
addEventListener("load", () =>
  requestAnimationFrame(() => {
    for (const each of document.querySelectorAll(".md-typeset__scrollwrap")) {
      if (each.scrollWidth > each.clientWidth) each.tabIndex = 0;
    }
    document.querySelector(".md-search")?.setAttribute("aria-label", "Search");
  }),
);
