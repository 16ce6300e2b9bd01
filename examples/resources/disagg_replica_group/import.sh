terraform import disagg_replica_group.decode local/local/pd/tiny/decode
