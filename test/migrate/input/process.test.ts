import assert from 'node:assert/strict'
import { test } from 'node:test'
import { composeProcesses, readFlags, readProcess } from '../../../src/migrate/input/process.ts'

test('an env file has one variable in each line, and spaces in values', () => {
  const { env, words } = readProcess(
    `# comment\n\nREGISTRY_PREFIXES=acme/ team/base\nexport A="b c"\nB='{"x": "y"}'\nC=\nD={"docker.io": {"username": "u"}}\r\n`,
  )
  assert.deepEqual(env, {
    REGISTRY_PREFIXES: 'acme/ team/base',
    A: 'b c',
    B: '{"x": "y"}',
    C: '',
    D: '{"docker.io": {"username": "u"}}',
  })
  assert.deepEqual(words, [])
})

test('a command has variables before it, in its options, and in a systemd unit', () => {
  const run = readProcess(`#!/bin/sh
A='1 2' docker run -d -e B=3 --env=C=4 \\
  --name "the registry" image --listen :8080 # comment`)
  assert.deepEqual(run.env, { A: '1 2', B: '3', C: '4' })
  assert.deepEqual(run.words.slice(0, 2), ['docker', 'run'])
  assert.ok(run.words.includes('the registry'))
  assert.ok(!run.words.includes('comment'))
  const unit = readProcess('[Service]\nEnvironment=A=1\nExecStart=/bin/x --y')
  assert.deepEqual(unit, { image: undefined, env: { A: '1' }, words: ['[Service]', '/bin/x', '--y'] })
})

test('the services of a compose file have variables as a list or a map, and commands as a text or a list', () => {
  const processes = composeProcesses({
    services: {
      one: { image: 'a:1', environment: ['A=b c', 'B'], command: 'serve --x "1 2"' },
      two: { environment: { A: '1' }, entrypoint: ['x'], command: ['--y', 'z'] },
    },
  })
  assert.deepEqual(processes, [
    { image: 'a:1', env: { A: 'b c', B: '' }, words: ['serve', '--x', '1 2'] },
    { image: undefined, env: { A: '1' }, words: ['x', '--y', 'z'] },
  ])
  assert.deepEqual(composeProcesses({ services: 'x' }), [])
})

test('flags have their value after a space or an equals sign, and switches have none', () => {
  const { flags, others } = readFlags(['a', '--b', 'c', '--d=e=f', '--on', 'g', '--last'], ['on'])
  assert.deepEqual(flags, { b: 'c', d: 'e=f', on: 'true', last: '' })
  assert.deepEqual(others, ['a', 'g'])
})
