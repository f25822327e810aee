/** The hit rate, ask by ask, as an SVG drawn by hand. */

const SVG = "http://www.w3.org/2000/svg";
const EDGE = { top: 10, right: 12, bottom: 24, left: 44 };
const MOST = 60; // asks shown; older ones still count

/**
 * Draws the share of hits after each ask.
 *
 * @param {SVGSVGElement} svg drawn anew, in the size it has on the page
 * @param {{rate: number, hit: boolean}[]} rates
 */
export function draw(svg, rates) {
  const scale = scaleFor(svg, rates);
  svg.setAttribute("viewBox", `0 0 ${scale.width} ${scale.height}`);
  svg.replaceChildren(...grid(scale), ...(rates.length > 0 ? curve(scale) : []));
}

function scaleFor(svg, rates) {
  const { width, height } = svg.getBoundingClientRect();
  const shown = rates.slice(-MOST);
  const steps = Math.max(shown.length - 1, 4);
  return {
    width,
    height,
    shown,
    before: rates.length - shown.length,
    x: (index) => EDGE.left + (index / steps) * (width - EDGE.left - EDGE.right),
    y: (rate) => EDGE.top + (1 - rate) * (height - EDGE.top - EDGE.bottom),
  };
}

function grid({ width, height, shown, before, x, y }) {
  const lines = [0, 0.5, 1].flatMap((rate) => [
    element("line", { class: "grid", x1: EDGE.left, x2: width - EDGE.right, y1: y(rate), y2: y(rate) }),
    element("text", { class: "label end", x: EDGE.left - 8, y: y(rate) + 4 }, `${rate * 100} %`),
  ]);
  const last = Math.max(shown.length, 5);
  const baseline = height - 4;
  return [
    ...lines,
    element("text", { class: "label", x: EDGE.left, y: baseline }, `ask ${before + 1}`),
    element("text", { class: "label end", x: width - EDGE.right, y: baseline }, `ask ${before + last}`),
  ];
}

function curve({ shown, x, y }) {
  const points = shown.map(({ rate }, index) => `${x(index)},${y(rate)}`);
  const floor = `${x(shown.length - 1)},${y(0)} ${x(0)},${y(0)}`;
  const dots = shown.map(({ rate, hit }, index) =>
    element("circle", { class: hit ? "dot hit" : "dot miss", cx: x(index), cy: y(rate), r: 4 }),
  );
  return [
    element("polygon", { class: "area", points: `${points.join(" ")} ${floor}` }),
    element("polyline", { class: "curve", points: points.join(" ") }),
    ...dots,
  ];
}

function element(name, attributes, text = "") {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
}
