// Questions before something is done.

import { ProblemBox } from "./parts.js";
import { Component, createRef, html } from "./view.js";

/** A dialog over the page. It has the focus, and gives it back to what had it before. */
export class Dialog extends Component {
  dialog = createRef();

  isShown = true;

  componentDidMount() {
    this.dialog.current.showModal();
  }

  componentWillUnmount() {
    this.isShown = false;
    this.dialog.current.close();
  }

  /** A browser closes a dialog when Escape is pressed twice, whatever the first one came to. */
  closed = () => {
    if (!this.isShown) {
      return;
    }
    if (this.props.busy) {
      this.dialog.current.showModal();
    } else {
      this.props.close();
    }
  };

  render({ title, children, close, busy }) {
    const cancel = (event) => {
      event.preventDefault();
      if (!busy) {
        close();
      }
    };
    return html`
      <dialog
        ref=${this.dialog}
        aria-labelledby="dialog-title"
        aria-describedby="dialog-what"
        onCancel=${cancel}
        onClose=${this.closed}
      >
        <h2 id="dialog-title">${title}</h2>
        ${children}
      </dialog>
    `;
  }
}

/**
 * Says what will happen, and does it if that is meant. If it cannot be done, says why.
 *
 * `typed` is what must be typed first. `run` does it; `done` is called after, with what that gave, but
 * not if who was asked has left the page meanwhile.
 */
export class Confirm extends Component {
  state = { busy: false, problem: null, typed: "" };
  isShown = true;

  componentWillUnmount() {
    this.isShown = false;
  }

  submit = async (event) => {
    event.preventDefault();
    this.setState({ busy: true, problem: null });
    let result;
    try {
      result = await this.props.run();
    } catch (problem) {
      this.setState({ busy: false, problem });
      return;
    }
    if (this.isShown) {
      this.props.done(result);
    }
  };

  render({ title, what, action, danger, typed, close }, state) {
    const missing = typed !== undefined && state.typed !== typed;
    return html`
      <${Dialog} title=${title} close=${close} busy=${state.busy}>
        <form onSubmit=${this.submit}>
          <div id="dialog-what">${what}</div>
          ${
            typed !== undefined &&
            html`
              <label for="typed">Type <strong>${typed}</strong> to confirm</label>
              <input
                id="typed"
                value=${state.typed}
                autocomplete="off"
                autocapitalize="off"
                spellcheck=${false}
                onInput=${(event) => this.setState({ typed: event.target.value })}
              />
            `
          }
          ${state.problem && html`<${ProblemBox} problem=${state.problem} />`}
          <div class="actions">
            <button type="button" disabled=${state.busy} onClick=${close}>Cancel</button>
            <button class=${danger ? "danger" : "primary"} disabled=${state.busy || missing}>
              ${state.busy ? "Working…" : action}
            </button>
          </div>
        </form>
      <//>
    `;
  }
}
