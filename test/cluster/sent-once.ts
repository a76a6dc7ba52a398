import assert from 'node:assert/strict'
import type { Lab } from '../../testkit/lab/lab.ts'
import type { MadeImage } from '../../testkit/lab/programs/upstream-program.ts'
import type { Accounts } from '../../testkit/lab/upstream.ts'

/** On a machine that stands still for seconds a node that lives is taken for dead, and another asks upstream as well. */
const ATTEMPTS = 4

/**
 * Upstream has sent the manifest and each blob of an image that `attempt` has pulled exactly once, and not a byte more: in
 * one attempt out of a few. In each of them it has sent all, and less than if every node had asked for itself.
 */
export async function assertSentOnce(lab: Lab, attempt: () => Promise<MadeImage>): Promise<void> {
  let wrong: string | undefined
  for (let left = ATTEMPTS; left > 0; left -= 1) {
    await lab.upstream.forget()
    const image = await attempt()
    const accounts = await lab.upstream.accountsOf(image)
    assertShared(accounts, image, lab.nodes.length)
    wrong = whatIsMore(accounts, image)
    if (wrong === undefined) return
  }
  assert.fail(`in none of ${ATTEMPTS} attempts it was once; in the last, ${wrong}`)
}

/** Whole at least, and less than each of so many by itself would take. */
export function assertShared(accounts: Accounts, image: MadeImage, nodes: number): void {
  const egress = accounts.egress(image)
  assert.ok(egress >= 1 && egress < nodes, `upstream sent it ${egress} times, to ${nodes} nodes`)
}

function whatIsMore(accounts: Accounts, image: MadeImage): string | undefined {
  for (const { digest, size } of image.blobs) {
    const [times, bytes] = [accounts.sent(digest), accounts.bytesOf(digest)]
    if (times !== 1 || bytes !== size) return `upstream sent ${bytes} bytes of ${size}, in ${times} answers`
  }
  const manifests = accounts.sent(image.manifest) + accounts.sent(image.tag)
  if (manifests !== 1) return `upstream sent the manifest ${manifests} times`
  const known = [image.manifest, image.tag, ...image.blobs.map(({ digest }) => digest)]
  const bytes = known.reduce((sum, reference) => sum + accounts.bytesOf(reference), 0)
  return bytes === accounts.bytes
    ? undefined
    : `upstream sent ${accounts.bytes - bytes} bytes of something else`
}
