// Who has no token sees this.

import { ProblemBox } from "./parts.js";
import { Component, createRef, html } from "./view.js";

/** Asks for the token, which is kept nowhere but in memory. `refusal` is why one was given up. */
export class SignIn extends Component {
  state = { busy: false, problem: null };
  input = createRef();

  componentDidMount() {
    this.input.current.focus();
  }

  submit = async (event) => {
    event.preventDefault();
    const token = this.input.current.value.trim();
    this.setState({ busy: true, problem: null });
    try {
      await this.props.signIn(token);
    } catch (problem) {
      this.setState({ busy: false, problem });
      this.input.current.select();
    }
  };

  render({ refusal }, { busy, problem }) {
    const shown = problem ?? refusal;
    return html`
      <section class="card sign-in">
        <h1>Sign in</h1>
        <form onSubmit=${this.submit}>
          <label for="token">Admin token</label>
          <input
            id="token"
            type="password"
            ref=${this.input}
            required
            autocomplete="off"
            spellcheck=${false}
            aria-describedby="token-help"
          />
          <p class="fine" id="token-help">
            The server's setting <code>admin_token</code>; the gateway's first start writes one to the
            file <code>admin-token</code> in its state directory. It stays in this page's memory and is
            gone when you reload or close it.
          </p>
          ${shown && html`<${ProblemBox} problem=${shown} />`}
          <div class="actions">
            <button class="primary" disabled=${busy}>${busy ? "Signing in…" : "Sign in"}</button>
          </div>
        </form>
      </section>
    `;
  }
}
