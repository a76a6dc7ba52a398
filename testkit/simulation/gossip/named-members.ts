import { createHash } from 'node:crypto'
import { type Identity, identityOf } from '../../../src/peers/identity/identity.ts'
import type { Member } from '../../../src/peers/identity/member.ts'
import { heartbeatOf, type RecordWithHeartbeat, Signer } from '../../../src/peers/identity/signed-record.ts'

/** Members whose keys depend on their names only, so that each run of a test has the same ids. */

export function identityNamed(name: string): Identity {
  return identityOf(createHash('sha256').update(name).digest())
}

/** The signed record of a member with a heartbeat. */
export function recordOf(name: string, member: Member, sequence = 0): RecordWithHeartbeat {
  const signer = new Signer(identityNamed(name))
  return {
    record: signer.signRecord(member),
    heartbeat: signer.signHeartbeat('alive', heartbeatOf(member, sequence)),
  }
}

export function memberOf(name: string, incarnation: number): Member {
  const fingerprint = createHash('sha256').update(name).digest('hex')
  return {
    id: identityNamed(name).id,
    incarnation,
    name,
    host: '10.0.0.1',
    port: 5052,
    fingerprint,
    zone: 'zone-a',
    version: '0.1.0',
    protocol: 1,
  }
}
