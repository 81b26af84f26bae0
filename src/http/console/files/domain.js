// One domain.

import { Confirm } from "./confirm.js";
import { counted, shownNumber } from "./format.js";
import { Joining } from "./joining.js";
import { Keys } from "./keys.js";
import { Live } from "./live.js";
import { Blocked, Members } from "./members.js";
import { Facts, Freshness, Pages, ProblemBox, Time } from "./parts.js";
import * as questions from "./questions.js";
import { SettingsForm } from "./settings.js";
import { Component, html } from "./view.js";

/** How many machines a page of them has. */
const PAGE = 25;

export class DomainView extends Component {
  state = { shown: null, problem: null, updated: null, question: null };
  members = new Pages();
  blocked = new Pages();
  live = new Live(
    (signal, asked) => this.load(signal, asked),
    ({ data: shown = this.state.shown, ...rest }) => this.setState({ shown, ...rest }),
  );

  componentDidMount() {
    this.live.start();
  }

  componentWillUnmount() {
    this.live.stop();
  }

  async load(signal, asked) {
    const { api, name } = this.props;
    const page = (ask, pages) =>
      pages.load((after) => ask.call(api, name, { after, limit: PAGE, signal }));
    const [{ domain, entityTag }, members, blocked] = await Promise.all([
      api.domain(name, signal),
      page(api.members, this.members),
      page(api.blocked, this.blocked),
    ]);
    // Keys of a domain never change, only their certificates may be signed again: not worth a look
    // each time. Another domain of the same name has another tag.
    const { shown } = this.state;
    const isKnown =
      !asked && shown?.entityTag === entityTag && shown.domain.keyVersion === domain.keyVersion;
    const keys = isKnown ? shown.keys : await api.keys(name, signal);
    return { domain, entityTag, members, blocked, keys };
  }

  turned = () => this.live.refresh();

  /** Asks a question, and does it if the answer is yes. */
  ask = (question) => this.setState({ question });

  close = () => this.setState({ question: null });

  done = (question, result) => {
    const { say, home } = this.props;
    this.setState({ question: null }, () => {
      // What had the focus may be gone.
      document.getElementById(question.focus)?.focus();
    });
    question.after?.(result);
    if (question.leaves) {
      say(question.said, home);
      return;
    }
    say(question.said);
    this.live.refresh();
  };

  render({ name, home }, { shown, problem, updated, question }) {
    const isGone = problem?.error === "UNKNOWN_DOMAIN";
    return html`
      <nav aria-label="Where this is"><a href=${home}>All domains</a></nav>
      <div class="heading">
        <h1 tabindex="-1">${name}</h1>
        ${
          !isGone &&
          html`<${Freshness} live=${this.live} updated=${updated} problem=${problem} />`
        }
      </div>
      ${problem && html`<${ProblemBox} problem=${problem} />`}
      ${!shown && !problem && html`<p class="fine">Loading…</p>`}
      ${shown && !isGone && this.renderShown(shown, updated)}
      ${
        question &&
        html`
          <${Confirm}
            ...${question}
            close=${this.close}
            done=${(result) => this.done(question, result)}
          />
        `
      }
    `;
  }

  renderShown({ domain, entityTag, members, blocked, keys }, updated) {
    const { api } = this.props;
    const ask = (make) => (machine, after) =>
      this.ask({ ...make(api, domain, machine), after });
    // What was saved is shown as the server answered, before anything is asked for again: whatever is
    // edited from now on begins with that.
    const saved = (forget) => (described) => {
      this.setState({ shown: { ...this.state.shown, ...described } });
      forget();
    };
    const save = (settings, tag, sentences, forget) =>
      this.ask(questions.replace(api, domain, { settings, tag, sentences, after: saved(forget) }));
    const block = ask(questions.block);
    return html`
      <${Overview} domain=${domain} />
      <${Contents} />
      <section class="card" aria-labelledby="members">
        <h2 id="members" tabindex="-1">Members <${Count} domain=${domain} /></h2>
        <${Members}
          page=${members}
          pages=${this.members}
          turned=${this.turned}
          remove=${ask(questions.remove)}
          block=${block}
        />
        ${domain.memberCount === 0 && html`<${Joining} domain=${domain.domain} />`}
      </section>
      <section class="card" aria-labelledby="settings">
        <h2 id="settings" tabindex="-1">Settings</h2>
        <${SettingsForm} domain=${domain} entityTag=${entityTag} save=${save} />
      </section>
      <section class="card" aria-labelledby="keys">
        <h2 id="keys" tabindex="-1">Key versions</h2>
        <${Keys} keys=${keys} now=${updated.getTime()} />
        <div class="actions start">
          <button onClick=${() => ask(questions.rollOver)()}>Roll the key over…</button>
        </div>
      </section>
      <section class="card" aria-labelledby="blocked">
        <h2 id="blocked" tabindex="-1">Blocked machines</h2>
        <${Blocked}
          page=${blocked}
          pages=${this.blocked}
          turned=${this.turned}
          unblock=${ask(questions.unblock)}
          block=${block}
        />
      </section>
      <section class="card" aria-labelledby="delete">
        <h2 id="delete" tabindex="-1">Delete</h2>
        <p>Deletes the domain with all of its members and keys, for good.</p>
        <button class="danger" onClick=${() => ask(questions.deleteDomain)()}>
          Delete this domain…
        </button>
      </section>
    `;
  }
}

const SECTIONS = [
  ["members", "Members"],
  ["settings", "Settings"],
  ["keys", "Key versions"],
  ["blocked", "Blocked machines"],
  ["delete", "Deletion"],
];

/** Leads to what is further down. Addresses name views, so these are no links. */
function Contents() {
  const go = (id) => () => {
    const heading = document.getElementById(id);
    heading.focus({ preventScroll: true });
    heading.scrollIntoView();
  };
  return html`
    <nav class="contents" aria-label="On this page">
      ${SECTIONS.map(
        ([id, title]) => html`<button class="quiet" onClick=${go(id)}>${title}</button>`,
      )}
    </nav>
  `;
}

function Count({ domain: { memberCount, maxMembership } }) {
  const isFull = maxMembership !== null && memberCount >= maxMembership;
  return html`
    <span class="count">
      ${shownNumber(memberCount)}${maxMembership !== null && ` of ${shownNumber(maxMembership)}`}
    </span>
    ${isFull && html` <span class="badge warn">full: nobody new may join</span>`}
  `;
}

function Overview({ domain }) {
  const { memberCount, keyVersion, keyRolloverRequired } = domain;
  const facts = [
    ["Members", counted(memberCount, "machine")],
    [
      "Newest key",
      html`
        ${keyVersion === null ? "none yet" : `version ${keyVersion}`}
        ${keyRolloverRequired && html` <span class="badge">rollover due</span>`}
      `,
    ],
    ["Authentication", domain.authenticationRequired ? "required" : "not required"],
    ["Created", html`<${Time} at=${domain.createdAt} />`],
  ];
  return html`<${Facts} class="facts" of=${facts} />`;
}
