// What several views are made of.

import { shownClock, shownNumber, shownTime } from "./format.js";
import { html } from "./view.js";

/** A problem as its document has it. */
export function ProblemBox({ problem, children }) {
  const named = [problem.error, problem.status && `HTTP ${problem.status}`].filter(Boolean);
  return html`
    <div class="problem" role="alert">
      <p>
        <strong>${problem.message}${problem.detail ? ":" : "."}</strong>
        ${problem.detail && ` ${problem.detail}.`}
      </p>
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

/** Which page of a list is wanted, by what each page up to it comes after. */
export class Pages {
  #afters = [null];

  /** Loads that page with `ask`, which gets what it comes after. It remembers where it is. */
  async load(ask) {
    const afters = this.#afters;
    return { ...(await ask(afters.at(-1))), afters };
  }

  /** The page after the one that is shown, which may be another than the one that is wanted. */
  forward({ afters, next }) {
    this.#afters = [...afters, next];
  }

  /** The page before the one that is shown. */
  back({ afters }) {
    this.#afters = afters.slice(0, -1);
  }
}

/** Whether a page is its list's first. */
export const isFirst = ({ afters }) => afters.length === 1;

/** Leads through a list's pages, if it has several. */
export function Pager({ pages, page, of, turned }) {
  const { afters, next } = page;
  if (isFirst(page) && next === null) {
    return null;
  }
  const turn = (step) => () => {
    step();
    turned();
  };
  return html`
    <nav class="pager" aria-label="Pages of ${of}">
      <button disabled=${isFirst(page)} onClick=${turn(() => pages.back(page))}>Previous</button>
      <span aria-current="page">Page ${shownNumber(afters.length)}</span>
      <button disabled=${next === null} onClick=${turn(() => pages.forward(page))}>Next</button>
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

/**
 * How fresh a view is. Who reads slowly, or follows a screen reader, can hold it. `once` is for what is
 * not loaded again by itself.
 */
export function Freshness({ live, updated, problem, once }) {
  const state = problem ? "Out of date" : live.paused ? "Paused" : once ? "Not live" : "Live";
  return html`
    <p class="freshness">
      <span>
        ${state}${updated && html`, as of <time>${shownClock(updated)}</time>`}
      </span>
      <button class="quiet" onClick=${() => live.pause(!live.paused)}>
        ${live.paused ? "Resume updates" : "Pause updates"}
      </button>
      <button class="quiet" onClick=${() => live.refresh()}>Refresh now</button>
    </p>
  `;
}
