// Before anything is painted: the theme of the address (?theme=dark, for a screen on a wall), the one that was chosen here,
// or the system's.
(() => {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    const asked = new URLSearchParams(location.search).get("theme");
    const chosen = ["light", "dark"].includes(asked) ? asked : localStorage.getItem("voxpop-theme") || "auto";
    document.documentElement.dataset.theme = chosen === "auto" ? (system.matches ? "dark" : "light") : chosen;
    document.documentElement.dataset.chosenTheme = chosen;
  };
  system.addEventListener("change", apply);
  window.voxpopTheme = {
    next() {
      const order = ["auto", "light", "dark"];
      const chosen = document.documentElement.dataset.chosenTheme;
      const url = new URL(location.href);
      url.searchParams.delete("theme");
      history.replaceState(null, "", url);
      localStorage.setItem("voxpop-theme", order[(order.indexOf(chosen) + 1) % order.length]);
      apply();
    },
  };
  apply();
})();
