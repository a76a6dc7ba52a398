import assert from 'node:assert/strict'
import { test } from 'node:test'
import { buildImage, push } from '../../../testkit/registries/image.ts'
import type { ClientKind } from '../kinds/client.ts'
import { containerd } from '../kinds/containerd.ts'
import { docker } from '../kinds/docker.ts'
import { podman } from '../kinds/podman.ts'
import { skopeo } from '../kinds/skopeo.ts'
import { startPullLab } from './pull-lab.ts'
import { assertFetchedOnce } from './pull-steps.ts'

const CASES: readonly { name: string; kinds: readonly ClientKind[] }[] = [
  {
    name: 'upstream sends an image once to twenty clients that pull at once',
    kinds: Array<ClientKind>(20).fill(skopeo),
  },
  {
    name: 'upstream sends an image once to clients of every kind that use different names for it',
    kinds: [containerd, podman, skopeo, docker],
  },
]

for (const { name, kinds } of CASES) {
  test(name, async (t) => {
    const lab = await startPullLab(t, kinds)
    if (lab === undefined) return
    const { upstream, clients } = lab
    const image = buildImage(name, { layerSizes: [8 * 1024 * 1024, 3 * 1024 * 1024, 100] })
    await push(upstream.url, 'library/app', 'v1', image)
    await upstream.forget()
    const imageName = { repository: 'library/app', reference: 'v1' }
    await Promise.all(clients.map((client) => client.pull(imageName)))
    for (const client of clients) await client.check(imageName, image)
    await assertFetchedOnce(upstream, [image])
    const tags = (await upstream.accesses()).filter(({ path }) => path.endsWith('/manifests/v1'))
    const registries = new Set(kinds.map((kind) => kind.registry))
    assert.ok(tags.length <= registries.size, 'a tag was requested more than once by a name of its registry')
  })
}
