// All domains.

import { Confirm } from "./confirm.js";
import { shownNumber } from "./format.js";
import { Joining } from "./joining.js";
import { Live } from "./live.js";
import { Freshness, Pager, Pages, ProblemBox, Table, Time } from "./parts.js";
import { search } from "./search.js";
import { SettingsFields, readSettings } from "./settings.js";
import { Component, html } from "./view.js";

const PAGE = 25;

/** How long after the last letter a search begins. */
const TYPED_MS = 250;

export class DomainsView extends Component {
  state = { list: null, problem: null, updated: null, text: "", isCreating: false };
  pages = new Pages();
  found = PAGE;
  live = new Live(
    (signal, asked) => this.load(signal, asked),
    ({ data: list = this.state.list, ...rest }) => this.setState({ list, ...rest }),
  );

  componentDidMount() {
    this.live.start();
  }

  componentWillUnmount() {
    clearTimeout(this.typing);
    this.live.stop();
  }

  async load(signal, asked) {
    const { api } = this.props;
    const text = this.state.text.trim();
    if (!text) {
      return api.domains({ after: this.pages.after, limit: PAGE, signal });
    }
    const { list } = this.state;
    if (!asked && list?.text === text && !list.quick) {
      return list;
    }
    return { text, ...(await search(api, text, { limit: this.found, signal })) };
  }

  type = (event) => {
    this.setState({ text: event.target.value });
    this.pages = new Pages();
    this.found = PAGE;
    clearTimeout(this.typing);
    this.typing = setTimeout(() => this.live.refresh(), TYPED_MS);
  };

  more = () => {
    this.found += PAGE;
    this.live.refresh();
  };

  renderList(list) {
    if (!list) {
      return this.state.problem ? null : html`<p class="fine">Loading…</p>`;
    }
    const { domains, text } = list;
    if (domains.length === 0 && !text && this.pages.number === 1) {
      return html`
        <div class="card empty">
          <h2>No domain yet</h2>
          <p>A domain is created when its first device joins, or here by you.</p>
          <${Joining} domain="living-room" />
        </div>
      `;
    }
    return html`
      ${
        domains.length > 0
          ? html`<${DomainTable} domains=${domains} addressOf=${this.props.addressOf} />`
          : html`<p>${text ? `No domain's name contains “${text}”.` : "No more domains."}</p>`
      }
      ${text ? this.renderFound(list) : this.renderPager(list)}
    `;
  }

  renderPager({ next }) {
    const turned = () => this.live.refresh();
    return html`<${Pager} pages=${this.pages} next=${next} of="domains" turned=${turned} />`;
  }

  renderFound({ domains, more, lookedAt }) {
    return html`
      <p class="fine" role="status">
        ${more ? "The first " : ""}${shownNumber(domains.length)} found${
          lookedAt ? `, among the first ${shownNumber(lookedAt)} names and all that begin so` : ""
        }.
      </p>
      ${more && html`<button onClick=${this.more}>Show more</button>`}
    `;
  }

  render({ api, say, addressOf }, { list, problem, updated, text, isCreating }) {
    const created = (name) => {
      this.setState({ isCreating: false });
      say(`Created ${name}.`, addressOf(name));
    };
    return html`
      <div class="heading">
        <h1 tabindex="-1">Domains</h1>
        <button class="primary" onClick=${() => this.setState({ isCreating: true })}>
          New domain
        </button>
      </div>
      <div class="heading">
        <div class="field search" role="search">
          <label for="search">Search by name</label>
          <input
            id="search"
            type="search"
            value=${text}
            autocomplete="off"
            spellcheck=${false}
            onInput=${this.type}
          />
        </div>
        <${Freshness} live=${this.live} updated=${updated} />
      </div>
      ${problem && html`<${ProblemBox} problem=${problem} />`} ${this.renderList(list)}
      ${
        isCreating &&
        html`
          <${NewDomain}
            api=${api}
            created=${created}
            close=${() => this.setState({ isCreating: false })}
          />
        `
      }
    `;
  }
}

function DomainTable({ domains, addressOf }) {
  const columns = [
    {
      title: "Domain",
      name: true,
      cell: ({ domain }) => html`<a href=${addressOf(domain)}>${domain}</a>`,
    },
    {
      title: "Key version",
      cell: ({ keyVersion, keyRolloverRequired }) => html`
        ${keyVersion ?? "none yet"}
        ${keyRolloverRequired && html` <span class="badge">rollover due</span>`}
      `,
    },
    { title: "Maximum", cell: ({ maxMembership }) => maxMembership ?? "none" },
    {
      title: "Authentication",
      cell: ({ authenticationRequired }) => (authenticationRequired ? "required" : "not required"),
    },
    { title: "Created", cell: ({ createdAt }) => html`<${Time} at=${createdAt} />` },
  ];
  return html`<${Table} label="Domains" columns=${columns} rows=${domains} id=${(it) => it.domain} />`;
}

class NewDomain extends Component {
  state = { name: "", fields: { authentication: false, namespace: "", maximum: "" } };

  render({ api, created, close }, { name, fields }) {
    const what = html`
      <p>Creates a domain without members or keys. Its first member gets its first key.</p>
      <div class="field">
        <label for="name">Name</label>
        <input
          id="name"
          value=${name}
          required
          pattern="[A-Za-z0-9][A-Za-z0-9._\\-]{0,127}"
          title="Letters, digits, full stops, underscores and hyphens; the first is a letter or a digit"
          autocomplete="off"
          autocapitalize="off"
          spellcheck=${false}
          onInput=${(event) => this.setState({ name: event.target.value })}
        />
      </div>
      <${SettingsFields}
        id="new"
        fields=${fields}
        changed=${(changed) => this.setState({ fields: { ...fields, ...changed } })}
      />
    `;
    return html`
      <${Confirm}
        title="New domain"
        what=${what}
        action="Create"
        run=${() => api.create(name, readSettings(fields))}
        done=${() => created(name)}
        close=${close}
      />
    `;
  }
}
