// The score over the steps of a run, drawn under its picture; the width is the whole run.

const SVG = "http://www.w3.org/2000/svg";
const HIGH = 30;
const MOST = 1000;

const path = (className) => {
  const made = document.createElementNS(SVG, "path");
  made.setAttribute("class", className);
  made.setAttribute("vector-effect", "non-scaling-stroke");
  return made;
};

export class Curve {
  #svg;
  #area = path("area");
  #line = path("line");
  #tip = path("tip");
  #points = [];

  constructor(svg) {
    this.#svg = svg;
    svg.append(this.#area, this.#line, this.#tip);
  }

  /** Begin with these [step, score] pairs, of `total` steps. */
  set(points, total) {
    this.#points = [...points];
    this.#draw(total);
  }

  /** Add the score of a step; a step before the last one begins anew from there. */
  add(step, score, total) {
    while (this.#points.length && this.#points.at(-1)[0] >= step) this.#points.pop();
    this.#points.push([step, score]);
    if (this.#points.length > MOST) this.#points = this.#points.filter((_, i, all) => i % 2 === 0 || i === all.length - 1);
    this.#draw(total);
  }

  #draw(total) {
    const scores = this.#points.map(([, score]) => score);
    const [low, high] = scores.length ? [Math.min(...scores), Math.max(...scores)] : [0, 0];
    const x = (step) => ((100 * step) / Math.max(total, 1)).toFixed(2);
    const y = (score) => (HIGH - 4 - ((HIGH - 8) * (score - low)) / (high - low || 1)).toFixed(2);
    const places = this.#points.map(([step, score]) => `${x(step)} ${y(score)}`);
    const line = places.length ? `M${places.join("L")}` : "";
    this.#line.setAttribute("d", line);
    this.#area.setAttribute("d", line && `${line}L${x(this.#points.at(-1)[0])} ${HIGH}L${x(this.#points[0][0])} ${HIGH}Z`);
    this.#tip.setAttribute("d", line && `M${places.at(-1)}h0.001`);
    const said = scores.length ? `Score, from ${scores[0].toFixed(3)} to ${scores.at(-1).toFixed(3)}` : "Score, none yet";
    this.#svg.setAttribute("aria-label", said);
  }
}
