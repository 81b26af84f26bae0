// The console as a whole: who is signed in, and which view the address names.

import { Api } from "./api.js";
import { DomainView } from "./domain.js";
import { DomainsView } from "./domains.js";
import { SignIn } from "./sign_in.js";
import { Component, html, render } from "./view.js";

const HOME = "#/";

/** The address of a domain's view. */
const domainAddress = (name) => `#/domains/${encodeURIComponent(name)}`;

/** The domain that an address names, or `null` for all of them. */
function domainOf(address) {
  const [, name] = address.match(/^#\/domains\/([^/]+)$/) ?? [];
  try {
    return name ? decodeURIComponent(name) : null;
  } catch {
    return null;
  }
}

class App extends Component {
  state = { api: null, refusal: null, address: location.hash, notice: null };

  componentDidMount() {
    addEventListener("hashchange", () => {
      const address = location.hash;
      // What was said about another view is not said about this one.
      const isNoticeOfThis = this.state.notice?.address === address;
      this.setState({ address, notice: isNoticeOfThis ? this.state.notice : null });
    });
    this.entitle();
  }

  componentDidUpdate(_, before) {
    const { api, address } = this.state;
    if (before.api !== api || before.address !== address) {
      this.entitle();
      // As a new page would have it: what is read next is the new view.
      document.querySelector("h1[tabindex]")?.focus();
    }
  }

  entitle() {
    const place = this.state.api ? (domainOf(this.state.address) ?? "Domains") : "Sign in";
    document.title = `${place} · Anonymous Domains`;
  }

  /** Throws the problem if the token is not taken. */
  signIn = async (token) => {
    const api = new Api(token, (refusal) => {
      if (this.state.api === api) {
        this.setState({ api: null, refusal, notice: null });
      }
    });
    await api.domains({ limit: 1 });
    this.setState({ api, refusal: null });
  };

  signOut = () => this.setState({ api: null, refusal: null, notice: null });

  /** Says what has been done; at `address`, if that is another view than this. */
  say = (text, address = location.hash) => {
    this.setState({ notice: { text, address } });
    location.hash = address;
  };

  render(_, { api, refusal, address, notice }) {
    const name = domainOf(address);
    return html`
      <header class="top">
        <a class="brand" href=${HOME}>Anonymous Domains</a>
        ${api && html`<button class="quiet" onClick=${this.signOut}>Sign out</button>`}
      </header>
      <main>
        <div role="status" class="notices">
          ${
            notice &&
            html`
              <p class="notice">
                <span>${notice.text}</span>
                <button class="quiet" onClick=${() => this.setState({ notice: null })}>Dismiss</button>
              </p>
            `
          }
        </div>
        ${
          !api
            ? html`<${SignIn} signIn=${this.signIn} refusal=${refusal} />`
            : name
              ? html`<${DomainView} key=${name} api=${api} name=${name} say=${this.say} home=${HOME} />`
              : html`<${DomainsView} key="" api=${api} say=${this.say} addressOf=${domainAddress} />`
        }
      </main>
    `;
  }
}

render(html`<${App} />`, document.getElementById("app"));
