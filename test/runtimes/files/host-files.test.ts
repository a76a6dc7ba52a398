import assert from 'node:assert/strict'
import { mkdir, symlink } from 'node:fs/promises'
import { test } from 'node:test'
import { RuntimeFailure } from '../../../src/runtimes/files/failure.ts'
import { HostFiles } from '../../../src/runtimes/files/host-files.ts'
import { Host } from '../host.ts'

test('a symbolic link never leads out of the root', async (t) => {
  const host = await Host.make(t, { '/etc/secret': 'inside' })
  await symlink('/etc/secret', host.at('/absolute'))
  await symlink('../../../../../../etc/secret', host.at('/relative'))
  await symlink('/', host.at('/top'))
  const files = new HostFiles(host.root)
  for (const path of ['/absolute', '/relative', '/top/top/etc/secret']) {
    assert.equal((await files.read(path))?.toString(), 'inside', path)
  }
})

test('a file that cannot be read or written is an error in one sentence', async (t) => {
  const host = await Host.make(t, { '/file': 'x' })
  await symlink('/b', host.at('/a'))
  await symlink('/a', host.at('/b'))
  await mkdir(host.at('/folder'))
  const files = new HostFiles(host.root)
  const table: readonly [work: () => Promise<unknown>, reason: RegExp][] = [
    [() => files.read('/a'), /\/a has too many symbolic links, or a loop of them/],
    [() => files.read('/folder'), /\/folder is a folder; expected a file/],
    [() => files.write('/file/below', Buffer.from('')), /cannot write \/file\/below: /],
    [() => new HostFiles('/proc').write('/leat', Buffer.from('')), /cannot write \/leat: /],
  ]
  for (const [work, reason] of table) {
    await assert.rejects(work, (error) => error instanceof RuntimeFailure && reason.test(error.message))
  }
  assert.deepEqual(
    Object.keys(await host.snapshot()),
    ['a', 'b', 'file', 'folder'],
    'no temporary file is left',
  )
})

test('an absent file is no error', async (t) => {
  const files = new HostFiles((await Host.make(t, { '/file': 'x' })).root)
  assert.equal(await files.read('/none'), undefined)
  assert.equal(await files.read('/file/none'), undefined)
  assert.deepEqual(await files.names('/none'), [])
  assert.equal(await files.exists('/none/none'), false)
  assert.deepEqual(await files.missingAbove('/x/y/z'), ['/x', '/x/y'])
  await files.remove('/none')
  await files.removeEmpty('/none')
})
