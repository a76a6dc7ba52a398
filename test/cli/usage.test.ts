import assert from 'node:assert/strict'
import { test } from 'node:test'
import { COMMANDS } from '../../src/cli/all.ts'
import { agent } from './cli.ts'
import { here } from './here.ts'

test('wrong usage ends with 2 and one sentence that says what was meant', async () => {
  const table: readonly [readonly string[], RegExp][] = [
    [[], /no command is given; see agent --help/],
    [['serv'], /no command "serv"; did you mean serve\?/],
    [['frobnicate'], /no command "frobnicate"; see agent --help/],
    [['serve', '--listne', 'x'], /serve has no option --listne; did you mean --listen\?/],
    [['serve', '--listen'], /--listen needs a value; see agent serve --help/],
    [['serve', '--listen', '5050'], /--listen is "5050"; expected host:port/],
    [['serve', '--listen', '127.0.0.1:1', '--listen', '127.0.0.1:2'], /--listen is given more than once/],
    [['serve', 'extra'], /serve does not know what to do with "extra"/],
    [['serve', '--config', '/none.yaml'], /\/none\.yaml does not exist/],
    [['why'], /why needs an image such as alpine:3\.20/],
    [['why', 'a', 'b'], /why does not know what to do with "b"/],
    [['status', '--no-json'], /status has no option --no-json/],
  ]
  const [first = assert.fail()] = table
  const asked = [first, ...table]
  const ended = await Promise.all(asked.map(([args], i) => (i === 0 ? agent(args) : here(args))))
  for (const [i, { code, out, err }] of ended.entries()) {
    const [args, expected] = asked[i] ?? assert.fail()
    assert.equal(code, 2, `${args.join(' ')}: ${err}`)
    assert.match(err, expected)
    assert.match(err, /^agent: [^\n]+\n$/, 'one line')
    assert.equal(out, '')
  }
})

test('a mistake in the environment or a secret in it is told without the secret', async () => {
  const [unknown, credentials] = await Promise.all([
    here(['serve'], { LEAT_MAXBYTES: '1GiB' }),
    agent(['serve'], { UPSTREAM_CREDENTIALS: '{"docker.io": hunter2}' }),
  ])
  assert.deepEqual([unknown.code, credentials.code], [2, 2])
  assert.match(unknown.err, /unknown setting "LEAT_MAXBYTES"; did you mean LEAT_MAX_BYTES\?/)
  assert.match(credentials.err, /^agent: UPSTREAM_CREDENTIALS must be JSON/)
  assert.ok(!credentials.err.includes('hunter2'))
})

test('every command has help with an example, and ends with 0', async () => {
  const [top, version, ...each] = await Promise.all([
    agent(['--help']),
    agent(['--version']),
    ...COMMANDS.map(({ name }) => here([name, '--help'])),
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

test('nobody there is a failure that says where and what to do', async () => {
  const at = ['--admin', '127.0.0.1:1']
  const ended = await Promise.all([
    agent(['status', ...at]),
    ...[['status'], ['ls'], ['why', 'alpine']].map((args) => here([...args, ...at])),
  ])
  for (const { code, err } of ended) {
    assert.equal(code, 1)
    assert.match(
      err,
      /^agent: no agent answers at 127\.0\.0\.1:1; start one with agent serve, or say with --admin/,
    )
  }
})
