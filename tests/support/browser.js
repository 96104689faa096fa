// What a test asks of the page: is its text readable, can its links be hit.
var lowestContrast = () => {
  const canvas = document.createElement("canvas");
  const paint = canvas.getContext("2d", { willReadFrequently: true });
  const over = (color, under) => {
    for (const style of [under, color]) {
      paint.fillStyle = style;
      paint.fillRect(0, 0, 1, 1);
    }
    return [...paint.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const css = (rgb) => `rgb(${rgb.join(",")})`;
  const behind = (node) => {
    const colors = [];
    for (let at = node; at; at = at.parentElement) {
      colors.unshift(getComputedStyle(at).backgroundColor);
    }
    return colors.reduce((under, color) => css(over(color, under)), "rgb(255,255,255)");
  };
  // Relative luminance and contrast ratio as WCAG 2 defines them.
  const light = (rgb) => {
    const [r, g, b] = rgb.map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = [];
  for (const node of document.querySelectorAll("body *")) {
    const own = [...node.childNodes].filter((child) => child.nodeType === 3);
    const text = own.map((child) => child.nodeValue.trim()).join("");
    if (!text || node.closest("svg, .skip, .heard")) continue;
    const back = behind(node);
    const fore = over(getComputedStyle(node).color, back);
    const [high, low] = [light(fore), light(over(back, back))].sort((x, y) => y - x);
    found.push([(high + 0.05) / (low + 0.05), text]);
  }
  return found.sort((x, y) => x[0] - y[0])[0];
};

var smallTargets = () =>
  [...document.querySelectorAll("a, button, input, select, summary")]
    .filter((node) => !node.matches(".skip, [type=hidden]") && node.checkVisibility())
    .map((node) => [node.textContent.trim(), node.getBoundingClientRect().height])
    .filter(([, height]) => height < 44);

// What scrolls and no key can reach: neither it nor anything in it takes the focus.
var unreachable = () =>
  [...document.querySelectorAll("body *")]
    .filter((node) => node.checkVisibility() && !node.closest(".heard"))
    .filter((node) => {
      const style = getComputedStyle(node);
      const scrolls = (way) => style[`overflow${way}`] === "auto" || style[`overflow${way}`] === "scroll";
      return (scrolls("X") && node.scrollWidth > node.clientWidth + 1)
        || (scrolls("Y") && node.scrollHeight > node.clientHeight + 1);
    })
    .filter((node) => node.tabIndex < 0 && !node.querySelector("a[href], button, input, select, summary, [tabindex='0']"))
    .map((node) => node.outerHTML.slice(0, 200));

// Fields without a label, headings that skip a level, a page without a language.
var unnamed = () => {
  const bare = [...document.querySelectorAll("input:not([type=hidden]), select, textarea")]
    .filter((node) => !node.labels.length).map((node) => node.outerHTML);
  const levels = [...document.querySelectorAll("h1, h2, h3, h4")].map((node) => Number(node.tagName[1]));
  const skipped = levels.filter((level, i) => level > (i ? levels[i - 1] : 0) + 1);
  return [...bare, ...skipped, ...(document.documentElement.lang ? [] : ["no lang"])];
};
