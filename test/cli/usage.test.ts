import assert from 'node:assert/strict'
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { readArguments } from '../../src/cli/arguments.ts'
import { COMMANDS } from '../../src/cli/command-list.ts'
import { tryRun } from '../../testkit/programs.ts'
import { MAIN, runAgent } from './agent-process.ts'
import { runInProcess } from './run-in-process.ts'

test('wrong usage ends with exit code 2 and a sentence that suggests what was meant', async () => {
  const table: readonly [readonly string[], RegExp][] = [
    [[], /no command given; see agent --help/],
    [['serv'], /unknown command "serv" \(did you mean serve\?\); see agent --help/],
    [['frobnicate'], /unknown command "frobnicate"; see agent --help/],
    [['serve', '--listne', 'x'], /unknown option --listne of serve \(did you mean --listen\?\); see/],
    [['serve', '--listen'], /--listen needs a value; see agent serve --help/],
    [['serve', '--listen', '5050'], /--listen is "5050"; expected host:port/],
    [['serve', '--listen', '127.0.0.1:1', '--listen', '127.0.0.1:2'], /--listen is given more than once/],
    [['serve', 'extra'], /unexpected argument "extra" after serve/],
    [['serve', '--config', '/none.yaml'], /\/none\.yaml does not exist/],
    [['why'], /why needs an image such as alpine:3\.20/],
    [['why', 'a', 'b'], /unexpected argument "b" after why/],
    [['status', '--no-json'], /unknown option --no-json of status/],
  ]
  const [first = assert.fail()] = table
  const asked = [first, ...table]
  const ended = await Promise.all(asked.map(([args], i) => (i === 0 ? runAgent(args) : runInProcess(args))))
  for (const [i, { code, out, err }] of ended.entries()) {
    const [args, expected] = asked[i] ?? assert.fail()
    assert.equal(code, 2, `${args.join(' ')}: ${err}`)
    assert.match(err, expected)
    assert.match(err, /^agent: [^\n]+\n$/, 'one line')
    assert.equal(out, '')
  }
})

test('all mistakes of the settings are told in one run, each on a line', async (t) => {
  const file = join(await mkdtemp(join(tmpdir(), 'leat-mistakes-')), 'config.yaml')
  t.after(() => rm(dirname(file), { recursive: true }))
  await writeFile(file, 'listen: 5050\nupstreams:\n  - namespace: docker.io\n    tagTtl: 60\nnope: 1\n')
  for (const run of [runAgent, runInProcess]) {
    const { code, err } = await run(['serve', '--config', file, '--drain-timeout', '2h'])
    assert.equal(code, 2)
    const lines = err.trimEnd().split('\n').sort()
    const expected = [
      /^agent: --drain-timeout is "2h"; expected/,
      /config\.yaml:1: listen is "5050"; expected/,
      /config\.yaml:4: upstreams\[0\]\.tagTtl is "60"; expected/,
      /config\.yaml:5: unknown setting "nope"/,
    ]
    assert.equal(lines.length, expected.length, err)
    for (const [i, one] of expected.entries()) assert.match(lines[i] ?? '', one)
  }
})

test('an error in a variable is reported without the secret that the variable contains', async () => {
  const [unknown, credentials] = await Promise.all([
    runInProcess(['serve'], { LEAT_MAXBYTES: '1GiB' }),
    runAgent(['serve'], { UPSTREAM_CREDENTIALS: '{"docker.io": hunter2}' }),
  ])
  assert.deepEqual([unknown.code, credentials.code], [2, 2])
  assert.match(unknown.err, /unknown setting "LEAT_MAXBYTES"; did you mean LEAT_MAX_BYTES\?/)
  assert.match(credentials.err, /^agent: UPSTREAM_CREDENTIALS must be JSON/)
  assert.ok(!credentials.err.includes('hunter2'))
})

test('every command has help with an example, which ends with exit code 0', async () => {
  const [top, version, ...each] = await Promise.all([
    runAgent(['--help']),
    runAgent(['--version']),
    ...COMMANDS.map(({ name }) => runInProcess([name, '--help'])),
  ])
  assert.deepEqual([top.code, version.code], [0, 0])
  assert.match(version.out, /^\d+\.\d+\.\d+\n$/)
  for (const { name, summary } of COMMANDS)
    assert.ok(top.out.includes(`agent ${name}`) && top.out.includes(summary))
  for (const [i, { name }] of COMMANDS.entries()) {
    assert.equal(each[i]?.code, 0)
    assert.match(each[i].out, new RegExp(`Examples:\\n +(?:\\w+=\\w+ )?agent ${name}`))
    assert.equal(each[i].err, '')
  }
})

test('the help of a program that is called leat says leat', async () => {
  const asked = { name: 'leat', version: '1.2.3', width: 100 }
  const top = await readArguments(['--help'], asked)
  assert.ok(top.kind === 'print')
  assert.match(top.text, /^leat <command>\n/)
  assert.match(top.text, /\n {2}leat warm {2}/)
  assert.doesNotMatch(top.text, /agent serve/)
  const warm = await readArguments(['warm', '--help'], asked)
  assert.ok(warm.kind === 'print')
  assert.match(warm.text, /Examples:\n +leat warm /)
})

test('an error is told in the name by which the program was called', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'leat-name-'))
  t.after(() => rm(folder, { recursive: true }))
  const path = join(folder, 'leat')
  await symlink(MAIN, path)
  const { code, stderr } = await tryRun(process.execPath, [path, 'serv'])
  assert.equal(code, 2)
  assert.match(stderr, /^leat: unknown command "serv"/)
})

test('help and version have the short forms that other programs have', async () => {
  const same = async (one: readonly string[], other: readonly string[]): Promise<void> => {
    const [first, second] = [await runInProcess(one), await runInProcess(other)]
    assert.deepEqual([first.code, first.out], [0, second.out], one.join(' '))
  }
  await same(['-h'], ['--help'])
  await same(['help'], ['--help'])
  await same(['help', 'warm'], ['warm', '--help'])
  await same(['warm', '-h'], ['warm', '--help'])
  await same(['-V'], ['--version'])
  const unknown = await runInProcess(['help', 'nope'])
  assert.deepEqual([unknown.code, unknown.err], [2, 'agent: unknown command "nope"; see agent --help\n'])
  const option = await runInProcess(['-v'])
  assert.deepEqual([option.code, option.err], [2, 'agent: unknown option -v; see agent --help\n'])
})

test('without an agent, a command fails and says which address it tried and what to do', async () => {
  const at = ['--admin', '127.0.0.1:1']
  const ended = await Promise.all([
    runAgent(['status', ...at]),
    ...[['status'], ['ls'], ['why', 'alpine']].map((args) => runInProcess([...args, ...at])),
  ])
  for (const { code, err } of ended) {
    assert.equal(code, 1)
    assert.match(
      err,
      /^agent: no agent answers at 127\.0\.0\.1:1; start one with agent serve, or give its address with --admin/,
    )
  }
})
