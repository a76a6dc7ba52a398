import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { hash } from 'bcrypt'
import { AgentProcess } from '../../../testkit/agent-process.ts'
import { addCleanup } from '../../../testkit/cleanup.ts'
import type { Image } from '../../../testkit/registries/image.ts'
import { layoutFiles, writeFiles } from '../../../testkit/registries/image-folders.ts'
import { startTokenService } from '../../../testkit/token-service.ts'

export const WAYS = ['htpasswd', 'token service'] as const
export const PASSWORD = 'wonder:land ü'

/** An agent where alice may pull and push `team/app`, bob nothing, and nobody else anything. */
export interface LoginLab {
  readonly folder: string
  /** An image layout with `app:v1`. */
  readonly layout: string
  /** The registry in the names of images. */
  readonly registry: string
}

export async function startLoginLab(
  t: TestContext,
  image: Image,
  way: (typeof WAYS)[number],
): Promise<LoginLab> {
  // Short, because the path of a Unix socket has at most 107 bytes.
  const folder = await mkdtemp(join(tmpdir(), 'leat-'))
  addCleanup(t, () => rm(folder, { recursive: true, force: true, maxRetries: 3 }))
  const { auth, close } = await authSettings(folder, way)
  addCleanup(t, close)
  const settings = { hosted: ['team/**'], auth: { loopback: 'login', ...auth } }
  // JSON is YAML.
  const agent = await AgentProcess.start(join(folder, 'agent'), JSON.stringify(settings))
  addCleanup(t, () => agent.stop())
  const layout = join(folder, 'layout')
  await writeFiles(layout, layoutFiles({ 'app:v1': image }))
  return { folder, layout, registry: agent.address }
}

/** The setting `auth` with alice and bob, and what ends the service that it names. */
export async function authSettings(
  folder: string,
  way: (typeof WAYS)[number],
): Promise<{ readonly auth: object; readonly close: () => Promise<void> }> {
  return way === 'htpasswd' ? htpasswd(folder) : tokens(folder)
}

async function htpasswd(folder: string) {
  const file = join(folder, 'users')
  const [alice, bob] = await Promise.all([hash(PASSWORD, 5), hash(PASSWORD, 5)])
  await writeFile(file, `alice:${alice}\nbob:${bob}\n`)
  const rules = [{ who: ['alice'], names: ['team/app'], actions: ['pull', 'push'] }]
  return { auth: { htpasswd: file, rules }, close: () => Promise.resolve() }
}

async function tokens(folder: string) {
  const access = { 'team/app': ['pull', 'push'] }
  const { realm, service, issuer, pem, close } = await startTokenService({
    alice: { password: PASSWORD, access },
    bob: { password: PASSWORD, access: {} },
  })
  const key = join(folder, 'key.pem')
  await writeFile(key, pem)
  return { auth: { token: { realm, service, issuer, key } }, close }
}
