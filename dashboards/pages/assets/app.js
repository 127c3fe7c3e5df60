// What happens in the browser: it tells the server what is asked for, and keeps focus and address where they belong.
(() => {
  const ask = (what) => window.emitEvent("asked", what);

  const remember = (parameters) => {
    const url = new URL(location.href);
    for (const [name, value] of Object.entries(parameters)) {
      if (value) url.searchParams.set(name, value);
      else url.searchParams.delete(name);
    }
    history.replaceState(null, "", url);
  };

  const labelTheme = () => {
    const button = document.querySelector("[data-theme-button]");
    const label = button?.dataset[document.documentElement.dataset.chosenTheme];
    if (label && button.textContent !== label) button.textContent = label; // only then: this is itself a change that is seen
  };

  const sendForm = (form) => {
    const filled = Object.fromEntries(new FormData(form));
    remember(filled);
    ask(filled);
  };

  document.addEventListener("change", (event) => {
    const field = event.target;
    if (field.matches("[data-ask]")) {
      remember({ [field.name]: field.value });
      ask({ [field.name]: field.value });
    } else if (field.matches("[data-go]")) {
      const url = new URL(field.dataset.go, location.href);
      url.searchParams.set(field.name, field.value);
      const days = new URLSearchParams(location.search).get("days");
      if (days) url.searchParams.set("days", days);
      location.assign(url);
    } else if (field.form?.matches("[data-filters]")) {
      sendForm(field.form);
    }
  });

  let typing;
  document.addEventListener("input", (event) => {
    if (!event.target.matches("[data-filters] input[type=search]")) return;
    clearTimeout(typing);
    typing = setTimeout(() => sendForm(event.target.form), 350);
  });

  document.addEventListener("submit", (event) => {
    if (event.target.matches("[data-question]")) {
      event.preventDefault();
      ask(Object.fromEntries(new FormData(event.target)));
    }
    if (!event.target.matches("[data-filters]")) return;
    event.preventDefault();
    clearTimeout(typing);
    sendForm(event.target);
  });

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.matches("[data-theme-button]")) {
      window.voxpopTheme.next();
      labelTheme();
    } else if (button.dataset.language) {
      document.cookie = `voxpop_language=${button.dataset.language}; path=/; max-age=31536000; samesite=lax`;
      location.reload();
    } else if (button.dataset.asks) {
      const asked = JSON.parse(button.dataset.asks);
      if (button.dataset.remember) remember(asked);
      ask(asked);
    } else if (button.dataset.copy) {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
      const label = button.textContent;
      button.textContent = button.dataset.copied;
      setTimeout(() => (button.textContent = label), 1600);
    }
  });

  // A piece of the page that is drawn anew gives the focus back to what had it.
  let focused = null;
  const keyOf = (element) => element.dataset?.key || element.getAttribute?.("href") || element.name;
  document.addEventListener("focusin", (event) => {
    const piece = event.target.closest(".fragment");
    focused = piece && keyOf(event.target) ? { piece, key: keyOf(event.target) } : null;
  });
  document.addEventListener("focusout", (event) => {
    if (event.target.isConnected && event.relatedTarget) focused = null;
  });
  new MutationObserver(() => {
    labelTheme();
    for (const long of document.querySelectorAll(".said.long:not([data-at-evidence])")) {
      long.dataset.atEvidence = "1";
      const first = long.querySelector("mark");
      if (first && first.offsetTop > long.clientHeight - 30) long.scrollTop = first.offsetTop - 30;
    }
    if (!focused || document.activeElement !== document.body || !focused.piece.isConnected) return;
    for (const element of focused.piece.querySelectorAll("a, button, input, select, summary")) {
      if (keyOf(element) === focused.key) return element.focus({ preventScroll: true });
    }
  }).observe(document.documentElement, { childList: true, subtree: true });

  document.addEventListener("visibilitychange", () => window.emitEvent("visible", !document.hidden));
})();
