import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFile, mkdtemp, open, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { type ClusterNode, REGISTRY } from '../../testkit/lab/node.ts'
import { startLab } from '../../testkit/lab/start-lab.ts'
import { MAIN } from '../cli/agent-process.ts'

const MIB = 1 << 20
const ADMIN = ['--admin', '127.0.0.1:5051']

interface Ended {
  readonly code: number | null
  readonly err: string
}

/** A command on the machine of a node. */
function start(node: ClusterNode, args: readonly string[]) {
  const child = spawn('ip', ['netns', 'exec', node.machine.namespace, process.execPath, MAIN, ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let err = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    err += text
  })
  const ended = once(child, 'close').then(([code]): Ended => ({ code, err }))
  return { ended, kill: () => child.kill('SIGKILL') }
}

async function dataOf(node: ClusterNode): Promise<string> {
  const { body } = await node.requestAdmin('/api/v1/status')
  return String(JSON.parse(String(body)).data)
}

async function succeed(node: ClusterNode, ...args: readonly string[]): Promise<void> {
  assert.deepEqual(await start(node, args).ended, { code: 0, err: '' }, args.join(' '))
}

test('bundles bring images to a machine without a network', { timeout: 600_000 }, async (t) => {
  const lab = await startLab(t, { nodes: 2, peers: false, tagTtl: '1h' })
  if (lab === undefined) return
  const [connected, isolated] = lab.nodes
  assert.ok(connected && isolated)
  lab.network.cut(isolated.machine)
  const folder = await mkdtemp(join(tmpdir(), 'leat-bundles-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const at = (name: string): string => join(folder, name)
  const may = await lab.upstream.makeImage([8 * MIB, 2 * MIB])
  const june = await lab.upstream.makeImage([3 * MIB, 1000])
  const nameOf = ({ repository, tag }: typeof may): string => `${REGISTRY}/${repository}:${tag}`
  const data = ['--data', await dataOf(isolated)]

  await t.test('the first bundle is exported here, and imported there', async () => {
    assert.notEqual((await isolated.tryPull(may, { deadlineMs: 60_000 })).error, undefined)
    await succeed(
      connected,
      'export',
      nameOf(may),
      ...ADMIN,
      '--to',
      `oci-archive:${at('1.tar')}`,
      '--list',
      at('1.json'),
    )
    await succeed(isolated, 'import', `oci-archive:${at('1.tar')}`, ...data)
    const pulled = await isolated.pull(may)
    assert.ok(
      pulled.parts.slice(1).every(({ from }) => from === 'leat; hit'),
      JSON.stringify(pulled.parts),
    )
  })

  await t.test('the second one has only what is new', async () => {
    const images = [nameOf(may), nameOf(june)]
    const to = ['--to', `oci-archive:${at('2.tar')}`, '--since', at('1.json'), '--list', at('2.json')]
    await succeed(connected, 'export', ...images, ...ADMIN, ...to)
    const { size } = await stat(at('2.tar'))
    assert.ok(size > 3 * MIB && size < 4 * MIB, `${size} bytes`)
  })

  await t.test('one that is cut short or altered is refused by its name, and nothing is lost', async () => {
    const whole = await readFile(at('2.tar'))
    await writeFile(at('short.tar'), whole.subarray(0, whole.length / 2))
    await copyFile(at('2.tar'), at('altered.tar'))
    const file = await open(at('altered.tar'), 'r+')
    // The middle of the largest layer.
    await file.write(Buffer.from('altered'), 0, 7, whole.length / 2)
    await file.close()
    for (const name of ['short.tar', 'altered.tar']) {
      const command = start(isolated, ['import', `oci-archive:${at(name)}`, ...data])
      const { code, err }: Ended = await command.ended
      assert.equal(code, 1)
      assert.ok(err.includes(name), err)
      assert.notEqual((await isolated.tryPull(june, { deadlineMs: 60_000 })).error, undefined)
    }
    await isolated.pull(may)
  })

  await t.test('an import that is killed continues, and the agent serves what it brings', async () => {
    for (let killed = 0; killed < 3; killed++) {
      const command = start(isolated, ['import', `oci-archive:${at('2.tar')}`, ...data])
      // At any moment: before it begins, while it sends, or after it is done.
      setTimeout(command.kill, 200 + 150 * killed)
      await command.ended
    }
    await succeed(isolated, 'import', `oci-archive:${at('2.tar')}`, ...data)
    await isolated.pull(june)
    await isolated.pull(may)
    await isolated.kill()
    await isolated.start()
    await isolated.pull(june)
  })
})
