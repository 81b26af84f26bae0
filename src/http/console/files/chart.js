// Key versions over time, drawn.

import { shownTime } from "./format.js";
import { html } from "./view.js";

const [WIDTH, HEIGHT, MARGIN] = [600, 120, 8];

/** Keys ascend by version. Those are listed beside the chart, which therefore only says its gist. */
export function Chart({ keys, now }) {
  const times = keys.map(({ createdAt }) => Date.parse(createdAt));
  const [first, last] = [times[0], Math.max(now, times.at(-1))];
  const span = Math.max(last - first, 60_000);
  const highest = keys.at(-1).keyVersion;
  const x = (time) => MARGIN + ((time - first) / span) * (WIDTH - 2 * MARGIN);
  const y = (version) =>
    HEIGHT - MARGIN - ((version - 1) / Math.max(highest - 1, 1)) * (HEIGHT - 2 * MARGIN);
  const points = keys.map(({ keyVersion }, at) => [x(times[at]), y(keyVersion)]);
  const steps = points.map(([px, py], at) => (at === 0 ? `M${px} ${py}` : `H${px}V${py}`));
  const line = `${steps.join("")}H${x(first + span)}`;
  // A line without a length has round ends only: a dot that no stretching distorts.
  const dots = points.map(([px, py]) => `M${px} ${py}h0`).join("");
  const gist =
    highest === 1
      ? `Version 1, made ${shownTime(first)}`
      : `Key versions over time: from 1, made ${shownTime(first)}, ` +
        `to ${highest}, made ${shownTime(times.at(-1))}`;
  return html`
    <figure class="chart">
      <svg role="img" aria-label=${gist} viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none">
        <path class="line" d=${line} />
        <path class="dots" d=${dots} />
      </svg>
      <span class="high" aria-hidden="true">${highest}</span>
      <span class="low" aria-hidden="true">${highest === 1 ? "" : "1"}</span>
      <span class="from" aria-hidden="true">${shownTime(first)}</span>
      <span class="to" aria-hidden="true">now</span>
    </figure>
  `;
}
