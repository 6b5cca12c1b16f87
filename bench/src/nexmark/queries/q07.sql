SELECT B.auction, B.price, B.bidder, B.`dateTime`, B.extra
FROM bid AS B
JOIN (
    SELECT MAX(price) AS maxprice, window_end AS endtime
    FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(`dateTime`), INTERVAL '10' SECOND))
    GROUP BY window_start, window_end
) AS W
ON B.price = W.maxprice
WHERE B.`dateTime` BETWEEN W.endtime - INTERVAL '10' SECOND AND W.endtime
