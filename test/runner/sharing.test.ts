import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inProcesses } from './sharing.ts'

test('small files of a room share a process, and a file with hooks of its own has one', () => {
  const files = [
    'test/oci/digest.test.ts',
    'test/oci/hooked.test.ts',
    'test/oci/range.test.ts',
    'test/store/store.test.ts',
    'test/upstream/auth/registrable-domain.test.ts',
    'test/upstream/host.test.ts',
  ]
  const read = (file: string): string =>
    file.includes('hooked') ? "test('a')\nbeforeEach(() => {})\n" : '  after(end)\n'
  assert.deepEqual(inProcesses(files, read), [
    ['test/oci/digest.test.ts', 'test/oci/range.test.ts'],
    ['test/oci/hooked.test.ts'],
    ['test/store/store.test.ts'],
    ['test/upstream/auth/registrable-domain.test.ts'],
    ['test/upstream/host.test.ts'],
  ])
})

test('a process has at most sixteen files', () => {
  const files = Array.from({ length: 30 }, (_, n) => `test/lib/file-${n}.test.ts`)
  const processes = inProcesses(files, () => '')
  assert.deepEqual(
    processes.map(({ length }) => length),
    [16, 14],
  )
  assert.deepEqual(processes.flat(), files)
})
