import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { answers } from '../support/daemon.ts'
import { leave, requirePrograms, run } from '../support/programs.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const REGISTRY = 'http://127.0.0.1:5050/v2/'

test('a fresh clone serves after npm ci and npm start', async (t) => {
  const programs = requirePrograms(t, ['git', 'npm'])
  if (programs === undefined) return
  if (!existsSync(join(ROOT, '.git'))) return leave(t, 'missing: the git history to clone')
  for (const port of [5050, 5051]) {
    if (!(await isFree(port))) return leave(t, `missing: port ${port}, which another program listens on`)
  }
  const folder = await mkdtemp(join(tmpdir(), 'leat-clone-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const clone = join(folder, 'leat')
  // Whoever owns the checkout, this test may read it.
  const gitconfig = join(folder, 'gitconfig')
  await writeFile(gitconfig, '[safe]\n\tdirectory = *\n')
  await run(programs.git, ['clone', '--quiet', ROOT, clone], { env: { GIT_CONFIG_GLOBAL: gitconfig } })
  const env = userEnvironment()

  await t.test('npm ci has nothing to complain about', async () => {
    const { stdout, stderr } = await run(programs.npm, ['ci'], { cwd: clone, env, deadlineMs: 300_000 })
    assert.doesNotMatch(stdout + stderr, /npm (?:warn|error)/i)
  })

  for (const time of ['first', 'second']) {
    await t.test(`the ${time} start serves until Ctrl-C, then drains and exits 0`, async () => {
      const start = spawn(programs.npm, ['start'], {
        cwd: clone,
        env: { ...process.env, ...env },
        // A process group of its own, which is what a terminal sends Ctrl-C to.
        detached: true,
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      let output = ''
      for (const stream of [start.stdout, start.stderr]) {
        stream.setEncoding('utf8').on('data', (text: string) => {
          output += text
        })
      }
      const exit = new Promise<number | null>((resolve) => start.once('close', resolve))
      const group = -(start.pid ?? Number.NaN)
      try {
        const deadline = Date.now() + 120_000
        while (!(await answers(REGISTRY).catch(() => false))) {
          assert.equal(start.exitCode, null, `npm start ended early:\n${output}`)
          assert.ok(Date.now() < deadline, `npm start serves nothing:\n${output}`)
          await delay(50)
        }
        process.kill(group, 'SIGINT')
        assert.equal(await exit, 0, output)
        assert.ok((await isFree(5050)) && (await isFree(5051)), 'the agent still listens')
      } finally {
        if (start.exitCode === null && start.signalCode === null) process.kill(group, 'SIGKILL')
      }
      assert.ok(existsSync(join(clone, '.leat')))
    })
  }
})

async function isFree(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

/** What npm told this process about the checkout it runs in is not true of the clone. */
function userEnvironment(): Record<string, undefined> {
  const names = Object.keys(process.env).filter((name) =>
    /^(?:npm_|LEAT_)|^(?:NODE_ENV|INIT_CWD)$/.test(name),
  )
  return Object.fromEntries(names.map((name) => [name, undefined]))
}
