import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { withoutSettings } from '../../testkit/agent-process.ts'
import { makeCertificates } from '../../testkit/certificates.ts'
import { answers, Daemon, freePort } from '../../testkit/daemon.ts'
import { run, tryRun } from '../../testkit/programs.ts'
import { argumentsOf, environmentOf, readDockerfile } from './dockerfile.ts'
import { replayStage } from './replay-stage.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const MIB = 1024 * 1024

test('the image is small, has one binary of each native module, and serves', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'leat-image-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const stages = readDockerfile(await readFile(join(ROOT, 'Dockerfile'), 'utf8'))
  const last = stages.at(-1)
  assert.ok(last)
  for (const stage of stages) await replayStage(stage, folder, stage !== last)
  const app = join(folder, last.name, 'app')

  await t.test('it has less than 20 MiB besides Node', async () => {
    const files = await filesIn(app)
    const sizes = await Promise.all(files.map(async (file) => (await stat(file)).size))
    const total = sizes.reduce((sum, size) => sum + size, 0)
    t.diagnostic(`${(total / MIB).toFixed(1)} MiB in ${files.length} files besides Node`)
    assert.ok(total < 20 * MIB, `${total} bytes`)
  })

  await t.test('it has no build tools and no binaries of other platforms', async () => {
    const files = await filesIn(join(app, 'node_modules'))
    const binaries = files.filter((file) => /\.(?:node|bare)$/.test(file))
    assert.deepEqual(
      binaries.filter((file) => !file.includes(`linux-${process.arch}/`) || file.includes('musl')),
      [],
    )
    // Those for arm64 name the version of the processor.
    const names = binaries.map((file) => basename(file).replace('.armv8.', '.')).sort()
    assert.deepEqual(names, [
      'bcrypt.glibc.node',
      'classic-level.node',
      'sodium-native.node',
      'udx-native.node',
    ])
    assert.ok(!(await readdir(join(app, 'node_modules'))).includes('typescript'))
  })

  await t.test('it serves, is healthy, and exits with 0 on the stop signal', async () => {
    const settings = environmentOf(last)
    const registry = `127.0.0.1:${await freePort()}`
    const admin = `127.0.0.1:${await freePort()}`
    const overrides = { LEAT_LISTEN: registry, LEAT_ADMIN: admin, LEAT_DATA: join(folder, 'data') }
    for (const name of Object.keys(overrides)) assert.ok(settings[name], `the image does not set ${name}`)
    const env = { ...withoutSettings(), ...settings, ...overrides }
    const [init, separator, node, ...program] = argumentsOf(last, 'ENTRYPOINT')
    assert.deepEqual([init, separator, node], ['tini', '--', 'node'])
    const [main = '', ...rest] = [...program, ...argumentsOf(last, 'CMD')]
    const agent = new Daemon('the agent', process.execPath, [join(app, '..', main), ...rest], {
      env,
      cwd: app,
    })
    try {
      await agent.ready(() => answers(`http://${registry}/v2/`))
      const [, ...check] = argumentsOf(last, 'HEALTHCHECK')
      await run(process.execPath, check, { env })
      for (const path of ['/', '/page/main.js']) assert.ok(await answers(`http://${admin}${path}`), path)
      assert.equal(await agent.stop(), 0)
      assert.equal((await tryRun(process.execPath, check, { env })).code, 1, 'a dead agent is not healthy')

      const { cert, key } = makeCertificates()
      await writeFile(join(folder, 'admin.crt'), cert)
      await writeFile(join(folder, 'admin.key'), key)
      const config = join(folder, 'tls.yaml')
      await writeFile(config, `adminTls: { cert: ${folder}/admin.crt, key: ${folder}/admin.key }\n`)
      const withTls = new Daemon('the agent', process.execPath, [join(app, '..', main), ...rest], {
        env: { ...env, LEAT_CONFIG: config },
        cwd: app,
      })
      try {
        await withTls.ready(() => answers(`http://${registry}/v2/`))
        await run(process.execPath, check, { env })
      } finally {
        await withTls.stop()
      }
    } finally {
      await agent.stop()
    }
  })
})

test('the image does not run as root', async () => {
  const last = readDockerfile(await readFile(join(ROOT, 'Dockerfile'), 'utf8')).at(-1)
  const user = last?.instructions.find(({ word }) => word === 'USER')?.text ?? ''
  assert.match(user, /^[1-9]\d+:[1-9]\d+$/, 'a number, as runAsNonRoot wants it')
})

async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
}
