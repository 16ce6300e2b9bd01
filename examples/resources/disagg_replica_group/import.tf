import {
  to = disagg_replica_group.decode
  id = "local/local/pd/tiny/decode"
}
