// All domains.

import { Confirm } from "./confirm.js";
import { shownNumber } from "./format.js";
import { Joining } from "./joining.js";
import { Live } from "./live.js";
import { Freshness, Pager, Pages, ProblemBox, Table, Time, isFirst } from "./parts.js";
import { MOST, Search } from "./search.js";
import { SettingsFields, readSettings } from "./settings.js";
import { Component, html } from "./view.js";

const PAGE = 25;

/** How long after the last letter a search begins. */
const TYPED_MS = 250;

export class DomainsView extends Component {
  state = { list: null, problem: null, updated: null, text: "", goesOn: false, isCreating: false };
  pages = new Pages();
  search = null;
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
    if (!this.search) {
      return this.pages.load((after) => api.domains({ after, limit: PAGE, signal }));
    }
    const { list, goesOn } = this.state;
    const wanted = this.search;
    const isNew = list?.search !== wanted;
    if (!asked && !isNew && !goesOn && !list.quick) {
      return list;
    }
    const search = isNew || goesOn ? wanted : wanted.again();
    const found = await search.run(api, signal);
    if (this.search === wanted) {
      this.search = search;
      this.setState({ goesOn: false });
    }
    return { ...found, search };
  }

  type = (event) => {
    const text = event.target.value;
    this.setState({ text, goesOn: false });
    this.pages = new Pages();
    this.search = text.trim() ? new Search(text.trim(), PAGE) : null;
    clearTimeout(this.typing);
    this.typing = setTimeout(() => this.live.refresh(), TYPED_MS);
  };

  /** Has the search go on. */
  go = (on) => {
    on(this.search);
    this.setState({ goesOn: true }, () => this.live.refresh());
  };

  renderList(list) {
    if (!list) {
      return this.state.problem ? null : html`<p class="fine">Loading…</p>`;
    }
    const { domains, text } = list;
    if (domains.length === 0 && !text && isFirst(list)) {
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
          : html`<p>${text ? nothingFound(list) : "No more domains."}</p>`
      }
      ${text ? this.renderFound(list) : this.renderPager(list)}
    `;
  }

  renderPager(list) {
    const turned = () => this.live.refresh();
    return html`<${Pager} pages=${this.pages} page=${list} of="domains" turned=${turned} />`;
  }

  renderFound({ domains, more, lookedAt, text, search }) {
    const found = `${more ? "The first " : ""}${shownNumber(domains.length)} found.`;
    const searched =
      lookedAt === null
        ? ""
        : ` Searched: the first ${shownNumber(lookedAt)} domains, and all that begin with “${text}”.`;
    const { goesOn, problem } = this.state;
    // Otherwise another text was typed since.
    const isThis = search === this.search;
    const isSearching = (goesOn || !isThis) && !problem;
    return html`
      <p class="fine" role="status">${isSearching ? "Searching…" : `${found}${searched}`}</p>
      ${more && isThis && html`<button onClick=${() => this.go((search) => search.more())}>Show more</button>`}
      ${
        lookedAt !== null &&
        isThis &&
        html`
          <button onClick=${() => this.go((search) => search.goOn())}>
            Search the next ${shownNumber(MOST)}
          </button>
        `
      }
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
        <${Freshness}
          live=${this.live}
          updated=${updated}
          problem=${problem}
          once=${list?.quick === false}
        />
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

const nothingFound = ({ text, lookedAt }) =>
  lookedAt === null
    ? `No domain's name contains “${text}”.`
    : `No name contains “${text}” among those that were searched.`;

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
        changed=${(changed) => this.setState({ fields: { ...this.state.fields, ...changed } })}
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
