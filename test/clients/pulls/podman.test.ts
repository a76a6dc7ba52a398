import { podman } from '../kinds/podman.ts'
import { testPulls } from './pull-steps.ts'

testPulls(podman)
