import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { PeerRegistry, type RegistryPeers } from '../../src/peers/peer-registry.ts'
import { Failure, type FailureCode } from '../../src/ports/failure.ts'
import type { TagHead } from '../../src/ports/registry.ts'
import type { Source } from '../../src/ports/source.ts'
import { digestOf } from '../../testkit/memory/digests.ts'
import { ScriptedRegistry } from '../../testkit/registries/scripted-registry.ts'

const REPOSITORY = { registry: 'r.example', name: 'team/app' }
const WANT = { kind: 'blob', digest: digestOf(Buffer.from('content')), repository: REPOSITORY } as const
const signal = new AbortController().signal

interface Answers {
  readonly owner?: TagHead
  readonly another?: TagHead
}

/** Peers that give these answers about every tag, and note who was asked. */
function peersWith(answers: Answers, sources?: ReturnType<RegistryPeers['createTransfer']>) {
  const asked: string[] = []
  const peers: RegistryPeers = {
    createTransfer: () => sources,
    client: {
      tags: {
        askOwner: async () => {
          asked.push('owner')
          return answers.owner
        },
        askAnother: async () => {
          asked.push('another')
          return answers.another
        },
      },
    },
  }
  return { peers, asked }
}

function tagHead(content: string): TagHead {
  return { digest: digestOf(Buffer.from(content)), mediaType: undefined, size: undefined, ageMs: 1 }
}

function sourceNamed(name: string): Source {
  return { name, kind: 'peer', bring: async () => {} }
}

describe('the sources of a content', () => {
  it('are only upstream when there are no peers', () => {
    const { peers } = peersWith({})
    const sources = new PeerRegistry(new ScriptedRegistry(), peers).sources(WANT)
    assert.deepEqual(
      sources.map(({ name }) => name),
      ['registry.test'],
    )
  })

  it('are the peers before and after upstream, which yields to them', () => {
    const { peers } = peersWith(
      {},
      {
        beforeUpstream: sourceNamed('before'),
        yielding: ({ name }) => sourceNamed(`yielding ${name}`),
        afterUpstream: sourceNamed('after'),
      },
    )
    const sources = new PeerRegistry(new ScriptedRegistry(), peers).sources(WANT)
    assert.deepEqual(
      sources.map(({ name }) => name),
      ['before', 'yielding registry.test', 'after'],
    )
  })
})

describe('a tag', () => {
  it('is what its owner says, without a request to upstream', async () => {
    const upstream = new ScriptedRegistry()
    const { peers } = peersWith({ owner: tagHead('by the owner') })
    const found = await new PeerRegistry(upstream, peers).tag(REPOSITORY, 'v1', { signal })
    assert.deepEqual(found, tagHead('by the owner'))
    assert.equal(upstream.asked.tag, 0)
  })

  it('is asked of upstream when the owner gives no answer', async () => {
    const upstream = new ScriptedRegistry()
    const digest = upstream.add(Buffer.from('manifest'))
    upstream.setTag(REPOSITORY, 'v1', digest)
    const { peers, asked } = peersWith({ another: tagHead('by another') })
    const found = await new PeerRegistry(upstream, peers).tag(REPOSITORY, 'v1', { signal })
    assert.equal(found.digest, digest)
    assert.deepEqual(asked, ['owner'])
  })

  it('is asked of upstream only, if the request says so', async () => {
    const upstream = new ScriptedRegistry()
    upstream.failure = new Failure('unavailable', 'no connection')
    const { peers, asked } = peersWith({ owner: tagHead('by the owner'), another: tagHead('by another') })
    const registry = new PeerRegistry(upstream, peers)
    await assert.rejects(registry.tag(REPOSITORY, 'v1', { signal, isUpstreamOnly: true }), {
      code: 'unavailable',
    })
    assert.deepEqual(asked, [])
  })

  for (const code of ['unavailable', 'stalled', 'busy'] satisfies FailureCode[]) {
    it(`is asked of another member when upstream is ${code}`, async () => {
      const upstream = new ScriptedRegistry()
      upstream.failure = new Failure(code, 'upstream fails')
      const { peers } = peersWith({ another: tagHead('by another') })
      const found = await new PeerRegistry(upstream, peers).tag(REPOSITORY, 'v1', { signal })
      assert.deepEqual(found, tagHead('by another'))
    })
  }

  it('fails as upstream fails when no other member has an answer', async () => {
    const upstream = new ScriptedRegistry()
    upstream.failure = new Failure('unavailable', 'no connection')
    const { peers } = peersWith({})
    await assert.rejects(
      new PeerRegistry(upstream, peers).tag(REPOSITORY, 'v1', { signal }),
      upstream.failure,
    )
  })

  it('that upstream does not have is asked of no other member', async () => {
    const { peers, asked } = peersWith({ another: tagHead('by another') })
    const registry = new PeerRegistry(new ScriptedRegistry(), peers)
    await assert.rejects(registry.tag(REPOSITORY, 'v1', { signal }), { code: 'absent' })
    assert.deepEqual(asked, ['owner'])
  })
})

it('a repository that is private upstream is private with peers', async () => {
  const upstream = new ScriptedRegistry()
  upstream.privateRegistries.add('r.example')
  const registry = new PeerRegistry(upstream, peersWith({}).peers)
  assert.equal(await registry.isPrivate(REPOSITORY), true)
  assert.equal(await registry.isPrivate({ registry: 'ghcr.io', name: 'acme/app' }), false)
})
