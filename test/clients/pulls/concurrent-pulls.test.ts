import assert from 'node:assert/strict'
import { test } from 'node:test'
import { buildImage, push } from '../../../testkit/registries/image.ts'
import type { Kind } from '../kinds/client.ts'
import { containerd } from '../kinds/containerd.ts'
import { docker } from '../kinds/docker.ts'
import { podman } from '../kinds/podman.ts'
import { skopeo } from '../kinds/skopeo.ts'
import { startLab } from './pull-lab.ts'
import { assertFetchedOnce } from './pull-steps.ts'

const CASES: readonly { name: string; kinds: readonly Kind[] }[] = [
  { name: 'twenty clients that start at once cost upstream one pull', kinds: Array<Kind>(20).fill(skopeo) },
  {
    name: 'clients of every kind, by different names of one image, cost upstream one pull',
    kinds: [containerd, podman, skopeo, docker],
  },
]

for (const { name, kinds } of CASES) {
  test(name, async (t) => {
    const lab = await startLab(t, kinds)
    if (lab === undefined) return
    const { upstream, clients } = lab
    const image = buildImage(name, { layerSizes: [8 * 1024 * 1024, 3 * 1024 * 1024, 100] })
    await push(upstream.url, 'library/app', 'v1', image)
    await upstream.forget()
    const wanted = { repository: 'library/app', reference: 'v1' }
    await Promise.all(clients.map((client) => client.pull(wanted)))
    for (const client of clients) await client.check(wanted, image)
    await assertFetchedOnce(upstream, [image])
    const tags = (await upstream.accesses()).filter(({ path }) => path.endsWith('/manifests/v1'))
    const registries = new Set(kinds.map((kind) => kind.registry))
    assert.ok(tags.length <= registries.size, 'a tag is asked for once by each name of its registry')
  })
}
