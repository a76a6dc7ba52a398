import { containerd } from '../kinds/containerd.ts'
import { testPulls } from './pull-steps.ts'

testPulls(containerd)
