/** How often an honest client sends its request, the first time included. */
const MAX_TRIES = 10

/**
 * Repeats a request until its answer is whole, whatever its status. On a busy machine an honest client can stop reading
 * for a moment, which looks slow to the server, and is cut off while others wait. Container runtimes retry then, too.
 */
export async function requestUntilWhole<Answer extends { readonly cut: boolean }>(
  request: () => Promise<Answer>,
): Promise<Answer> {
  for (let left = MAX_TRIES - 1; ; left -= 1) {
    try {
      const got = await request()
      if (!got.cut || left === 0) return got
    } catch (error) {
      if (left === 0) throw error
    }
  }
}
