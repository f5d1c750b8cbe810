// What savers have to say: failures stay on the screen until they are over.

const element = (id) => document.getElementById(id);

export class Banner {
  #problems = new Map();

  /** `app` has session and fail(error). */
  constructor(app) {
    this.app = app;
    const decide = (id, action) => element(id).addEventListener("click", () => action().catch(app.fail));
    decide("mine", () => app.session.keepMine());
    decide("theirs", () => app.session.takeSaved());
    decide("again", () => Promise.all([...this.#problems.keys()].map((saver) => saver.flush())));
  }

  /** A saver's problem, or null where it is gone. */
  report(saver, problem) {
    if (problem) this.#problems.set(saver, problem);
    else this.#problems.delete(saver);
    this.#draw(...([...this.#problems][0] ?? []));
  }

  #draw(saver, problem) {
    const isConflict = problem?.status === 409 && saver === this.app.session.saver;
    const retries = Boolean(saver?.put) && !isConflict;
    const kept = retries ? " The work is kept in this browser until it can be saved." : "";
    element("banner").hidden = !problem;
    element("banner").firstElementChild.textContent = problem ? `Not saved: ${problem.message}${kept}` : "";
    element("mine").hidden = element("theirs").hidden = !isConflict;
    element("again").hidden = !retries;
  }
}
