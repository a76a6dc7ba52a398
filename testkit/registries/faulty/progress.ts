/** Lets tests wait until something holds, which is checked after each change. */
export class Progress {
  #waiting: { readonly holds: () => boolean; readonly resolve: () => void }[] = []

  changed(): void {
    this.#waiting = this.#waiting.filter(({ holds, resolve }) => {
      if (!holds()) return true
      resolve()
      return false
    })
  }

  until(holds: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push({ holds, resolve })
      this.changed()
    })
  }
}
