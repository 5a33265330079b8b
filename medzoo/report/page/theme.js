// The button that changes between light and dark.

document.getElementById("theme").onclick = () => {
  const style = document.documentElement.style;
  const dark = style.colorScheme
    ? style.colorScheme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  style.colorScheme = dark ? "light" : "dark";
};
