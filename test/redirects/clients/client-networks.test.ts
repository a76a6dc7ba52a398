import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { FileProblem } from '../../../src/lib/watched-file.ts'
import { type Events, subscribe } from '../../../src/observe/events.ts'
import { ClientNetworks } from '../../../src/redirects/clients/client-networks.ts'
import { folder } from '../../store/folder.ts'

test('a client is in the networks of the settings, or of a file, which is read again when it changes', async (t) => {
  const file = join(await folder(t), 'ranges')
  await writeFile(file, '192.0.2.0/24\n')
  const networks = new ClientNetworks({ networks: ['10.0.0.0/8'], ranges: [{ file }] }, { checkMs: 0 })
  await networks.open()
  const answers = () =>
    Promise.all(['10.1.1.1', '192.0.2.1', '198.51.100.1'].map((each) => networks.has(each)))
  assert.deepEqual(await answers(), [true, true, false])
  await writeFile(file, '198.51.100.0/24 # changed\n')
  assert.deepEqual(await answers(), [true, false, true])
})

test('a file that cannot be used stops the opening; one that breaks later is told, and its last content counts', async (t) => {
  const file = join(await folder(t), 'ranges')
  const networks = new ClientNetworks({ ranges: [{ file }] }, { checkMs: 0 })
  await assert.rejects(networks.open(), FileProblem)
  await writeFile(file, '192.0.2.0/24\n')
  await networks.open()
  const told: Events['file.checked'][] = []
  t.after(subscribe('file.checked', (event) => told.push(event)))
  await writeFile(file, 'x\n')
  assert.equal(await networks.has('192.0.2.1'), true)
  assert.deepEqual(told, [{ file, problem: `${file} has "x", which is no network such as 10.0.0.0/8` }])
})
