// What several views are made of.

import { shownClock, shownNumber, shownTime } from "./format.js";
import { html } from "./view.js";

/** A problem as its document has it. */
export function ProblemBox({ problem, children }) {
  const named = [problem.error, problem.status && `HTTP ${problem.status}`].filter(Boolean);
  return html`
    <div class="problem" role="alert">
      <p><strong>${problem.message}.</strong> ${problem.detail}</p>
      ${children}
      ${named.length > 0 && html`<p class="fine">${named.join(", ")}</p>`}
      ${problem.instance && html`<p class="fine">Request <code>${problem.instance}</code></p>`}
      ${
        problem.retryAfter &&
        html`<p class="fine">It may be tried again after ${shownNumber(problem.retryAfter)} s.</p>`
      }
    </div>
  `;
}

export function Time({ at }) {
  return html`<time datetime=${at} title=${at}>${shownTime(new Date(at))}</time>`;
}

/**
 * A table that is a list of cards where there is no room for it. The roles say that it still is a
 * table then. A column has a `title`, what is in its `cell` for a row, and may be the row's `name`.
 */
export function Table({ label, columns, rows, id }) {
  return html`
    <table role="table" aria-label=${label}>
      <thead role="rowgroup">
        <tr role="row">
          ${columns.map(({ title }) => html`<th role="columnheader" scope="col">${title}</th>`)}
        </tr>
      </thead>
      <tbody role="rowgroup">
        ${rows.map(
          (row) => html`
            <tr role="row" key=${id(row)}>
              ${columns.map(({ title, cell, name }) =>
                name
                  ? html`<th role="rowheader" scope="row">${cell(row)}</th>`
                  : html`<td role="cell" data-title=${title}><div>${cell(row)}</div></td>`,
              )}
            </tr>
          `,
        )}
      </tbody>
    </table>
  `;
}

/** Where one is in a list that comes in pages: what each page so far comes after. */
export class Pages {
  #afters = [null];

  get after() {
    return this.#afters.at(-1);
  }

  get number() {
    return this.#afters.length;
  }

  forward(next) {
    this.#afters.push(next);
  }

  back() {
    this.#afters.pop();
  }
}

/** Leads through a list's pages, if it has several. */
export function Pager({ pages, next, of, turned }) {
  if (pages.number === 1 && next === null) {
    return null;
  }
  const turn = (step) => () => {
    step();
    turned();
  };
  return html`
    <nav class="pager" aria-label="Pages of ${of}">
      <button disabled=${pages.number === 1} onClick=${turn(() => pages.back())}>Previous</button>
      <span aria-current="page">Page ${shownNumber(pages.number)}</span>
      <button disabled=${next === null} onClick=${turn(() => pages.forward(next))}>Next</button>
    </nav>
  `;
}

/** What is known of something: terms, each with its fact. */
export function Facts({ of, ...attributes }) {
  return html`
    <dl ...${attributes}>
      ${of.map(
        ([term, fact]) => html`
          <div>
            <dt>${term}</dt>
            <dd>${fact}</dd>
          </div>
        `,
      )}
    </dl>
  `;
}

/** How fresh a view is. Who reads slowly, or follows a screen reader, can hold it. */
export function Freshness({ live, updated }) {
  return html`
    <p class="freshness">
      <span>
        ${live.paused ? "Paused" : "Live"}${updated && html`, as of <time>${shownClock(updated)}</time>`}
      </span>
      <button class="quiet" onClick=${() => live.pause(!live.paused)}>
        ${live.paused ? "Resume updates" : "Pause updates"}
      </button>
      <button class="quiet" onClick=${() => live.refresh()}>Refresh now</button>
    </p>
  `;
}
