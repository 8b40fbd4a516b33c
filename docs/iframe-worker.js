// Search in pages that were opened from a disk. Browsers start no worker from file: addresses, so there the search's
// script runs in a hidden frame. The theme loads this file before its own scripts (mkdocs.yml: extra.polyfills).
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      frame.addEventListener("answer", (event) => {
        this.dispatchEvent(new MessageEvent("message", { data: event.detail }));
      });
      this.started = new Promise((start) => frame.addEventListener("load", () => start(frame.contentWindow)));
      const answer = 'postMessage = (detail) => frameElement.dispatchEvent(new CustomEvent("answer", { detail }))';
      frame.srcdoc = `<script>${answer}</script><script src="${url}"></script>`;
      document.body.append(frame);
    }

    postMessage(data) {
      this.started.then((inside) => inside.dispatchEvent(new MessageEvent("message", { data })));
    }
  };
}
