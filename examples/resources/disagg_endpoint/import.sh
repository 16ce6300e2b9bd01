terraform import disagg_endpoint.tiny local/local/pd/tiny
