// The machines of a domain: its members, and those that may not be.

import { Pager, Table, Time, isFirst } from "./parts.js";
import { html } from "./view.js";

const machine = {
  title: "Machine",
  name: true,
  cell: ({ machineGuid }) => html`<code>${machineGuid}</code>`,
};

const id = ({ machineGuid }) => machineGuid;

/** A button about one machine, which says so to who does not see the row. */
function Act({ on, what, act }) {
  return html`
    <button class="small" aria-label="${what} ${on.machineGuid}" onClick=${() => act(on.machineGuid)}>
      ${what}…
    </button>
  `;
}

export function Members({ page, pages, turned, remove, block }) {
  if (page.members.length === 0) {
    return html`<p>${isFirst(page) ? "No machine is a member." : "No more members."}</p>
      <${Pager} pages=${pages} page=${page} of="members" turned=${turned} />`;
  }
  const columns = [
    machine,
    { title: "Joined", cell: ({ registeredAt }) => html`<${Time} at=${registeredAt} />` },
    {
      title: "Machine key",
      cell: ({ keyThumbprint }) => html`<code class="faint">${keyThumbprint}</code>`,
    },
    {
      title: "Actions",
      cell: (member) => html`
        <div class="row">
          <${Act} on=${member} what="Remove" act=${remove} />
          <${Act} on=${member} what="Block" act=${block} />
        </div>
      `,
    },
  ];
  return html`
    <${Table} label="Members" columns=${columns} rows=${page.members} id=${id} />
    <${Pager} pages=${pages} page=${page} of="members" turned=${turned} />
  `;
}

export function Blocked({ page, pages, turned, unblock, block }) {
  const columns = [
    machine,
    { title: "Blocked", cell: ({ blockedAt }) => html`<${Time} at=${blockedAt} />` },
    { title: "Actions", cell: (one) => html`<${Act} on=${one} what="Unblock" act=${unblock} />` },
  ];
  const submit = (event) => {
    event.preventDefault();
    const form = event.target;
    block(new FormData(form).get("machine").trim(), () => form.reset());
  };
  return html`
    ${
      page.blocked.length > 0
        ? html`<${Table} label="Blocked machines" columns=${columns} rows=${page.blocked} id=${id} />`
        : html`<p>${isFirst(page) ? "No machine is blocked." : "No more blocked machines."}</p>`
    }
    <${Pager} pages=${pages} page=${page} of="blocked machines" turned=${turned} />
    <form class="row end" onSubmit=${submit}>
      <div class="field grow">
        <label for="machine">Block a machine by its GUID</label>
        <input id="machine" name="machine" required autocomplete="off" spellcheck=${false} />
      </div>
      <button>Block…</button>
    </form>
  `;
}
