terraform import disagg_service.tiny local/local/pd/tiny
