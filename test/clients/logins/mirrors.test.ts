import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addCleanup } from '../../../testkit/cleanup.ts'
import { buildImage, push } from '../../../testkit/registries/image.ts'
import { folder } from '../../store/folder.ts'
import type { ClientKind } from '../kinds/client.ts'
import { containerd } from '../kinds/containerd.ts'
import { docker } from '../kinds/docker.ts'
import { podman } from '../kinds/podman.ts'
import { skopeo } from '../kinds/skopeo.ts'
import { startPullLab } from '../pulls/pull-lab.ts'
import { authSettings, WAYS } from './login-lab.ts'

/** Runtimes have no login for a mirror. On loopback, which is open by default, they need none. */
const KINDS: readonly ClientKind[] = [containerd, docker, podman, skopeo]

for (const way of WAYS) {
  for (const kind of KINDS) {
    // Docker leaves a mirror that asks for a password, and pulls from the registry itself: docs/access.md says so.
    if (kind === docker && way === 'htpasswd') continue
    test(`${kind.name} pulls without a login from a mirror on this machine that has logins by ${way}`, async (t) => {
      const { auth, close } = await authSettings(await folder(t), way)
      addCleanup(t, close)
      const lab = await startPullLab(t, [kind], `auth: ${JSON.stringify(auth)}\n`)
      const client = lab?.clients[0]
      if (lab === undefined || client === undefined) return
      assert.equal((await fetch(`http://${lab.agent.address}/v2/`)).status, 401)
      const image = buildImage(`without a login ${way}`)
      await push(lab.upstream.url, 'library/app', 'v1', image)
      await lab.upstream.forget()
      const name = { repository: 'library/app', reference: 'v1' }
      await client.pull(name)
      await client.check(name, image)
      // The agent has stored all of it, so it is the agent that has answered.
      for (const { digest } of image.blobs) assert.equal(await lab.upstream.fetches(digest), 1)
      await lab.upstream.stop()
      await client.forget()
      await client.pull(name)
    })
  }
}
