import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { runAgent } from '../agent-process.ts'
import { runInProcess } from '../run-in-process.ts'

let folder = ''
let upstreams = ''

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'leat-config-'))
  upstreams = join(folder, 'upstreams.yaml')
  await writeFile(
    upstreams,
    '[{ namespace: a.example, host: b.example, username: u, password: hunter2, blob_invalidation_time: 30d }]',
  )
})
after(() => rm(folder, { recursive: true }))

test('the settings go to stdout, and what has no counterpart to stderr', async () => {
  const { code, out, err } = await runAgent(['config', 'import', upstreams])
  assert.equal(code, 0)
  assert.equal(
    out,
    `# Made by agent config import from the settings of oci-registry.
upstreams:
  - namespace: a.example
    host:
      - b.example
    username: u
    passwordFile: /etc/leat/passwords/a.example
`,
  )
  assert.deepEqual(
    err.split('\n').map((line) => line.split(' ', 3).join(' ')),
    ['Write the password', 'a.example: blob_invalidation_time is', ''],
  )
})

test('a file is written once, for its owner only, and overwritten only when that is asked for', async () => {
  const output = join(folder, 'config.yaml')
  const args = ['config', 'import', upstreams, '--output', output]
  const first = await runInProcess(args)
  assert.deepEqual([first.code, first.out], [0, `${output} is written\n`])
  assert.equal((await stat(output)).mode & 0o777, 0o600)
  await writeFile(output, 'mine')
  const second = await runInProcess(args)
  assert.equal(second.code, 1)
  assert.match(
    second.err,
    /config\.yaml exists already; give another --output, or --force to overwrite it\n$/,
  )
  assert.equal(await readFile(output, 'utf8'), 'mine')
  const forced = await runInProcess([...args, '--force', '--with-passwords'])
  assert.equal(forced.code, 0)
  assert.match(await readFile(output, 'utf8'), /password: hunter2/)
  const nowhere = await runInProcess([...args.slice(0, 3), '--output', join(folder, 'none/x'), '--force'])
  assert.match(nowhere.err, /cannot write .*: ENOENT; give another --output/)
})

test('programs read JSON', async () => {
  const { out } = await runInProcess(['config', 'import', upstreams, '--json', '--kind', 'oci-registry'])
  const { kinds, settings, notes, output } = JSON.parse(out)
  assert.deepEqual([kinds, output, notes.length], [['oci-registry'], null, 2])
  assert.equal(settings.upstreams[0].namespace, 'a.example')
})

test('what cannot be read is named with what to do', async () => {
  const unknown = join(folder, 'unknown')
  await writeFile(unknown, 'hello')
  const table: readonly [readonly string[], number, RegExp][] = [
    [
      ['import', unknown],
      1,
      /unknown has no settings of a tool that is known \(.*\); if it is of one of them, give --kind/,
    ],
    [['import', join(folder, 'none')], 1, /cannot read .*none: it does not exist/],
    [['import', folder], 1, /it is a folder; give its files/],
    [['import'], 2, /config import needs a file with the settings of another tool/],
    [['imprt', unknown], 2, /unknown action "imprt"; did you mean import\?/],
    [['import', unknown, '--kind', 'spegl'], 2, /--kind is "spegl"; did you mean spegel\?/],
  ]
  for (const [args, exitCode, expected] of table) {
    const { code, out, err } = await runInProcess(['config', ...args])
    assert.deepEqual([code, out], [exitCode, ''], err)
    assert.match(err, expected)
  }
})
