/** So often an honest client asks again, as one does that was cut off. */
const MOST_TRIES = 10

/**
 * A whole answer, whatever its status. On a busy machine an honest client stands still for a moment, looks slow, and is
 * cut off while others wait: then it asks again.
 */
export async function wholeAnswer<Answer extends { readonly cut: boolean }>(
  ask: () => Promise<Answer>,
): Promise<Answer> {
  for (let left = MOST_TRIES - 1; ; left -= 1) {
    try {
      const got = await ask()
      if (!got.cut || left === 0) return got
    } catch (error) {
      if (left === 0) throw error
    }
  }
}
